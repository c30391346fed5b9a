"""The description of the server's requests and answers, as OpenAPI 3.1 has it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from .limits import Limits

_REASONS = {
    "400": "The request isn't what it says it is.",
    "401": "The token is missing or wrong.",
    "403": "The Host or Origin header is of another site.",
    "404": "There is no such source.",
    "408": "The body came too slowly.",
    "415": "The body is of a type that isn't taken.",
    "429": "Too many requests of this client; Retry-After says when to come back.",
    "503": "The queue is full; Retry-After says when to come back.",
    "504": "The answer took too long.",
}


def description(limits: Limits, predicts: bool = True, streams: bool = False) -> dict[str, Any]:
    """The document of a server.

    Args:
        limits: of its requests.
        predicts: whether it takes pictures.
        streams: whether it shows a stream.
    """
    paths: dict[str, Any] = {}
    if predicts:
        paths |= {"/predict": {"post": _predict(limits)}, "/annotate": {"post": _annotate()}}
    if streams:
        paths |= {"/live": {"get": _live()}, "/live/{number}/frame": {"get": _frame()}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agegender",
            "version": version("agegender-core"),
            "description": "Ages and genders of faces. Nothing that is sent is stored.",
        },
        "paths": {**paths, **_operation()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _predict(limits: Limits) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    files = {
        "type": "object",
        "properties": {"picture": {"type": "array", "items": binary, "maxItems": limits.max_pictures}},
    }
    read = "A row for each picture, as agegender predict --format json prints them."
    return {
        "summary": "Find the faces in pictures and estimate their ages and genders.",
        "description": f"At most {limits.max_pictures} pictures and {limits.max_bytes:,} bytes. Pictures of several "
        "requests are looked at together.",
        "parameters": [
            {
                "name": "annotated",
                "in": "query",
                "description": "Also give each picture with the faces drawn in, as base64 of a JPEG file.",
                "schema": {"type": "boolean", "default": False},
            },
            _NAME,
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": files},
                "application/json": {"schema": {"$ref": "#/components/schemas/Pictures"}},
                "image/*": {"schema": binary},
                "application/octet-stream": {"schema": binary},
            },
        },
        "responses": {
            "200": _json(f"{read} At least one could be read.", "Rows"),
            "413": _either("The body, the number of pictures, or every picture is too large."),
            "422": _json("None of the pictures could be read: the rows say why.", "Rows"),
            "500": _json("There is a bug: the rows say where.", "Rows"),
            **_refusals("400", "401", "403", "408", "415", "429", "503", "504"),
        },
    }


_NAME = {
    "name": "name",
    "in": "query",
    "description": "What a picture that is the body itself is called in its row.",
    "schema": {"type": "string"},
}


def _annotate() -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    return {
        "summary": "Draw the faces, ages and genders into one picture.",
        "parameters": [_NAME],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object", "properties": {"picture": binary}}},
                "application/json": {"schema": {"$ref": "#/components/schemas/Pictures"}},
                "image/*": {"schema": binary},
                "application/octet-stream": {"schema": binary},
            },
        },
        "responses": {
            "200": {"description": "The picture with the faces drawn in.", "content": {"image/jpeg": {}}},
            "413": _either("The body or the picture is too large, or there are several."),
            "422": _json("The picture could not be read or drawn into: the row says why.", "Rows"),
            "500": _json("There is a bug: the row says where.", "Rows"),
            **_refusals("400", "401", "403", "408", "415", "429", "503", "504"),
        },
    }


def _live() -> dict[str, Any]:
    return {
        "summary": "Who is there, how many there were, and how the stream does.",
        "responses": {
            "200": {"description": "By source.", "content": {"application/json": {"schema": {"type": "object"}}}},
            **_refusals("401", "403"),
        },
    }


def _frame() -> dict[str, Any]:
    return {
        "summary": "The newest frame of a source, with the faces drawn in.",
        "parameters": [
            {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}},
            {
                "name": "after",
                "in": "query",
                "description": "Wait for a frame newer than this one; X-Frame-Number of the last answer.",
                "schema": {"type": "integer", "minimum": 0, "default": 0},
            },
        ],
        "responses": {
            "200": {
                "description": "A JPEG file.",
                "headers": {"X-Frame-Number": {"schema": {"type": "integer"}}},
                "content": {"image/jpeg": {}},
            },
            "204": {"description": "No newer frame came for ten seconds."},
            **_refusals("400", "401", "403", "404"),
        },
    }


def _operation() -> dict[str, Any]:
    status = {"type": "object", "properties": {"status": {"enum": ["ok", "failed"]}}, "required": ["status"]}
    content = {"application/json": {"schema": status}}
    return {
        "/healthz": {
            "get": {
                "summary": "Whether the server works.",
                "security": [],
                "responses": {
                    "200": {"description": "It does.", "content": content},
                    "503": {"description": "It doesn't.", "content": content},
                },
            }
        },
        "/metrics": {
            "get": {
                "summary": "Figures for Prometheus.",
                "responses": {
                    "200": {"description": "Its text format.", "content": {"text/plain": {}}},
                    **_refusals("401", "403"),
                },
            }
        },
    }


def _json(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _either(text: str) -> dict[str, Any]:
    either = {"anyOf": [{"$ref": "#/components/schemas/Refusal"}, {"$ref": "#/components/schemas/Rows"}]}
    return {"description": text, "content": {"application/json": {"schema": either}}}


def _refusals(*statuses: str) -> dict[str, Any]:
    return {status: _json(_REASONS[status], "Refusal") for status in statuses}


def _number(text: str, **more: Any) -> dict[str, Any]:
    return {"type": ["number", "null"], "description": text, **more}


def _schemas() -> dict[str, Any]:
    ends = {"items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    face = {
        "box": {
            "type": "array",
            "items": {"type": ["number", "null"]},
            "minItems": 4,
            "maxItems": 4,
            "description": "Left, top, right, bottom in pixels of the picture.",
        },
        "score": _number("The detector's confidence."),
        "age": _number("The expected age in years."),
        "age_std": _number("Its standard deviation in years."),
        "age_interval": {
            "type": ["array", "null"],
            **ends,
            "description": "Low and high end, in years, of the interval that holds nine true ages of ten.",
        },
        "gender": {"enum": ["female", "male", None]},
        "p_male": _number("The probability of male.", minimum=0, maximum=1),
        "quality": _number("How much can be made of the face.", minimum=0, maximum=1),
    }
    row = {
        "source": {"type": "string", "description": "The picture's name, as the request gives it."},
        "error": {"type": ["string", "null"], "description": "Why the picture could not be used."},
        "width": {"type": ["integer", "null"], "description": "Pixels."},
        "height": {"type": ["integer", "null"], "description": "Pixels."},
        "faces": {"type": "array", "items": {"$ref": "#/components/schemas/Face"}},
    }
    drawing = {"type": ["string", "null"], "contentEncoding": "base64", "contentMediaType": "image/jpeg"}
    data = {"type": "string", "contentEncoding": "base64", "description": "The file, also as a data: URL."}
    named = {"type": "object", "properties": {"name": {"type": "string"}, "data": data}, "required": ["data"]}
    return {
        "Face": {"type": "object", "properties": face, "required": list(face), "additionalProperties": False},
        "Row": {
            "type": "object",
            "properties": {**row, "annotated": {**drawing, "description": "Where it was asked for."}},
            "required": list(row),
            "additionalProperties": False,
        },
        "Rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
        "Pictures": {
            "type": "object",
            "properties": {"pictures": {"type": "array", "items": {"anyOf": [data, named]}, "minItems": 1}},
            "required": ["pictures"],
            "additionalProperties": False,
        },
        "Refusal": {
            "type": "object",
            "properties": {"error": {"type": "string", "description": "Why, in one sentence."}},
            "required": ["error"],
            "additionalProperties": False,
        },
    }
