"""What a request brings: its body, within limits and in memory, and the pictures in it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from agegender_core.records import plain_text

from .batching import Picture
from .limits import ByteBudget, Limits

_LONGEST_NAME = 255
_ACCEPTED = "multipart/form-data, application/json, image/*, application/octet-stream"
_BUSY = {"Retry-After": "2"}


class Body:
    """The body of a request, held in memory within a budget.

    Args:
        request: whose.
        limits: of its size, and the time that it may take.
        budget: of all bodies.
    """

    def __init__(self, request: Request, limits: Limits, budget: ByteBudget) -> None:
        self._request, self._limits, self._budget = request, limits, budget
        self._held = 0

    async def read(self) -> bytes:
        """All of it.

        Raises:
            HTTPException: 413, it is too large; 408, it comes too slowly; 503, there is no room for it; 400, a wrong
                Content-Length.
            ClientDisconnect: the client is gone.
        """
        declared = self._request.headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdecimal():
            raise HTTPException(400, "Content-Length must be a number")
        # What still comes behind a refusal is passed over by the connection, so that the client gets to read it.
        if len(declared) > 18 or int(declared) > self._limits.max_bytes:
            raise self._too_large()
        chunks = []
        async with aclosing(self._parts()) as parts:
            async for part in parts:
                if self._held + len(part) > self._limits.max_bytes:
                    raise self._too_large()
                if not self._budget.take(len(part)):
                    raise HTTPException(503, "the server holds as much as it can: try again", _BUSY)
                self._held += len(part)
                chunks.append(part)
        return b"".join(chunks)

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        end = monotonic() + self._limits.body_seconds
        stream = self._request.stream()
        while True:
            left = end - monotonic()
            try:
                part = await asyncio.wait_for(anext(stream), max(0.0, min(left, self._limits.idle_seconds)))
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise HTTPException(408, "the body came too slowly", {"Connection": "close"}) from None
            yield part

    def _too_large(self) -> HTTPException:
        most = self._limits.max_bytes
        return HTTPException(413, f"a request may have {most:,} bytes at most")

    async def __aenter__(self) -> Body:
        return self

    async def __aexit__(self, *exception: Any) -> None:
        self._budget.give_back(self._held)
        self._held = 0


async def pictures_of(request: Request, body: bytes, most: int, drawn: bool) -> list[Picture]:
    """The pictures in a body: multipart/form-data with files, JSON with base64, or one picture as it is.

    Args:
        request: whose; its Content-Type says what the body is.
        body: the whole of it.
        most: pictures that are taken.
        drawn: whether the drawings are wanted.

    Raises:
        HTTPException: 415, another type; 413, too many pictures; 400, it isn't what it says.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _of_form(request.headers, body, most)
    elif kind == "application/json":
        found = await run_in_threadpool(_of_json, body)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        found = [(request.query_params.get("name"), body)]
    else:
        raise HTTPException(415, f"the body must be of one of the types {_ACCEPTED}", {"Accept-Post": _ACCEPTED})
    if not found:
        raise HTTPException(400, "the body holds no picture")
    if len(found) > most:
        raise _too_many(most)
    return [
        Picture(_name(name, number, len(found)), content, drawn)
        for number, (name, content) in enumerate(found, start=1)
    ]


def _name(name: str | None, number: int, count: int) -> str:
    given = plain_text(name or "")[:_LONGEST_NAME]
    return given or ("picture" if count == 1 else f"picture {number}")


def _too_many(most: int) -> HTTPException:
    return HTTPException(413, f"a request may hold {most} pictures at most")


async def _of_form(headers: Headers, body: bytes, most: int) -> list[tuple[str | None, bytes]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=most, max_fields=0)
    # Larger files would be written to a disk, and nothing is.
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many(most) from None
        if error.message.startswith("Too many fields"):
            raise HTTPException(400, "every field of the form must be a file, with a filename") from None
        raise HTTPException(400, f"the form can't be read: {error.message}") from None
    except (KeyError, ValueError) as error:
        raise HTTPException(400, f"the form can't be read: {error}") from None
    try:
        return [(file.filename, await file.read()) for _, file in form.multi_items() if isinstance(file, UploadFile)]
    finally:
        await form.close()


_JSON_FORM = 'a body of JSON must be {"pictures": [{"name": "a.jpg", "data": "<base64>"}, ...]}; "name" may be left out'


def _of_json(body: bytes) -> list[tuple[str | None, bytes]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(document, dict) or document.keys() != {"pictures"} or not isinstance(document["pictures"], list):
        raise HTTPException(400, _JSON_FORM)
    return [_of_json_picture(entry, number) for number, entry in enumerate(document["pictures"], start=1)]


def _of_json_picture(entry: Any, number: int) -> tuple[str | None, bytes]:
    if isinstance(entry, str):
        entry = {"data": entry}
    if not isinstance(entry, dict) or not {"data"} <= entry.keys() <= {"name", "data"}:
        raise HTTPException(400, _JSON_FORM)
    name, data = entry.get("name"), entry["data"]
    if not isinstance(data, str) or not (name is None or isinstance(name, str)):
        raise HTTPException(400, _JSON_FORM)
    if data.startswith("data:"):
        data = data.partition(",")[2]
    try:
        return name, base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise HTTPException(400, f"picture {number} is not base64") from None
