"""The requests about a running stream: ``GET /live`` and ``GET /live/NUMBER/frame``."""

from __future__ import annotations

import asyncio
import re
from time import monotonic

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agegender_core.records import finite

from .live import LiveView

_WAIT = 10.0  # seconds for a newer frame
_LOOK = 0.02  # seconds between two looks whether there is one


class LiveApi:
    """Answers requests about a running stream.

    Args:
        view: what it shows.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def state(self, _: Request) -> Response:
        """Who is there, counts over time, health."""
        return JSONResponse(finite(self._view.state()))

    async def frame(self, request: Request) -> Response:
        """The newest frame of a source as JPEG, with its number in X-Frame-Number.

        With ``?after=N`` the first one after frame N, whichever is the newest then; 204 if none comes for 10 seconds.
        """
        number = _whole_number("the number of a source", request.path_params["number"], 404)
        after = _whole_number("after", request.query_params.get("after", "0"), 400)
        if number >= len(self._view.pictures):
            raise HTTPException(404, f"there is no picture of a source {number}")
        picture = self._view.pictures[number]
        end = monotonic() + _WAIT
        # A number beyond the newest is one of an earlier run.
        while picture.number == 0 or picture.number == after:
            if monotonic() > end or self._view.ended or await request.is_disconnected():
                return Response(status_code=204)
            await asyncio.sleep(_LOOK)
        shown, data = await run_in_threadpool(picture.jpeg)
        return Response(data, media_type="image/jpeg", headers={"X-Frame-Number": str(shown)})


def _whole_number(name: str, text: str, otherwise: int) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise HTTPException(otherwise, f"{name} must be a whole number from 0 up, got {text!r:.40}")
    return int(text)
