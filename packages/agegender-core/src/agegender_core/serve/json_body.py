"""Small JSON objects that a page sends to its server."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def json_object(request: Request, most: int) -> dict[str, Any]:
    """The JSON object in a request's body.

    Args:
        request: whose.
        most: bytes of the body, no more of which is held.

    Raises:
        HTTPException: 413, it is larger; 400, it is no JSON object.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"a request must have at most {most} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "a request must be JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "a request must be a JSON object")
    return found
