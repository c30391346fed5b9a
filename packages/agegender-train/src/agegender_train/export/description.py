"""What a model file says of itself, in whatever format: one text by key, the same keys everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from agegender_core.spec import PreprocessSpec

FORMAT = "1"
PREFIX = "agegender."
"""Of the keys in files that hold others' metadata, too."""

_PLAIN = ("format", "version", "name", "licence")
"""What is text; everything else is JSON."""


def describe(
    *,
    name: str,
    spec: PreprocessSpec,
    heads: Mapping[str, Mapping[str, Any]],
    training: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    licence: str,
) -> dict[str, str]:
    """The description of a model; see `export_onnx` for what is asked."""
    described: dict[str, Any] = {
        "format": FORMAT,
        "version": version("agegender-train"),
        "name": name,
        "preprocess": spec.to_json(),
        "heads": {head: dict(decoded) for head, decoded in heads.items()},
        "training": training,
        "metrics": metrics,
        "licence": licence,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in described.items()}


def to_json(description: Mapping[str, str]) -> bytes:
    """A description as one JSON object, its values as objects of their own."""
    values = {key: text if key in _PLAIN else json.loads(text) for key, text in description.items()}
    return json.dumps(values, indent=1, ensure_ascii=False).encode()


def from_json(content: bytes) -> dict[str, str]:
    """The inverse of `to_json`.

    Raises:
        ValueError: it is no description.
    """
    values = json.loads(content)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"the description of a model must be a JSON object of format {FORMAT}, got {content[:60]!r}")
    return {key: value if key in _PLAIN else json.dumps(value) for key, value in values.items()}


def from_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """The description among the metadata of an ONNX model."""
    return {key.removeprefix(PREFIX): text for key, text in properties.items() if key.startswith(PREFIX)}
