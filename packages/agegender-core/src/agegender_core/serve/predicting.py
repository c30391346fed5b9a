"""The requests that bring pictures: ``POST /predict`` and ``POST /annotate``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from agegender_core.records import finite

from .batching import Answer, Batcher, QueueFullError
from .bodies import Body, pictures_of
from .limits import ByteBudget, Limits

_FALSE, _TRUE = ("", "0", "false", "no"), ("1", "true", "yes")


class PredictApi:
    """Answers requests that bring pictures.

    Args:
        batcher: looks at them.
        limits: of a request.
    """

    def __init__(self, batcher: Batcher, limits: Limits) -> None:
        self._batcher, self._limits = batcher, limits
        self._budget = ByteBudget(limits.held_bytes)

    async def predict(self, request: Request) -> Response:
        """The rows of all pictures, as ``agegender predict --format json`` prints them.

        The status is 200 where at least one could be read. Otherwise it is 413 (all are too large), 500 (there is a
        bug) or 422, and the rows say why.
        """
        answers = await self._answers(request, _flag(request, "annotated"), self._limits.max_pictures)
        rows = [self._row(answer, _flag(request, "annotated")) for answer in answers]
        return JSONResponse(finite(rows), _status(answers))

    async def annotate(self, request: Request) -> Response:
        """One picture with the faces drawn in, as a JPEG file; a row with the reason where there is none."""
        (answer,) = await self._answers(request, True, 1)
        if answer.drawing is None:
            status = _status([answer])
            return JSONResponse([answer.row], 422 if status == 200 else status)
        return Response(answer.drawing, media_type="image/jpeg")

    @staticmethod
    def _row(answer: Answer, drawn: bool) -> dict[str, Any]:
        if not drawn:
            return answer.row
        drawing = None if answer.drawing is None else base64.b64encode(answer.drawing).decode()
        return {**answer.row, "annotated": drawing}

    async def _answers(self, request: Request, drawn: bool, most: int) -> Sequence[Answer]:
        async with Body(request, self._limits, self._budget) as body:
            try:
                content = await body.read()
            except ClientDisconnect:
                raise HTTPException(400, "the client was gone before its request was whole") from None
            pictures = await pictures_of(request, content, most, drawn)
            try:
                futures = self._batcher.submit(pictures)
            except QueueFullError:
                raise HTTPException(503, "too many pictures are waiting: try again", {"Retry-After": "2"}) from None
            try:
                # What is given up here is cancelled, so that no worker takes it any more.
                async with asyncio.timeout(self._limits.answer_seconds):
                    return await asyncio.gather(*map(asyncio.wrap_future, futures))
            except TimeoutError:
                raise HTTPException(504, "the answer took too long", {"Retry-After": "5"}) from None
            except asyncio.CancelledError:
                if any(future.cancelled() for future in futures) and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise HTTPException(503, "the server is ending", {"Retry-After": "5"}) from None
                raise


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "").lower()
    if text not in (*_FALSE, *_TRUE):
        raise HTTPException(400, f"{name} must be true or false, got {text!r:.40}")
    return text in _TRUE


def _status(answers: Sequence[Answer]) -> int:
    outcomes = {answer.outcome for answer in answers}
    if "read" in outcomes:
        return 200
    if "internal error" in outcomes:
        return 500
    return 413 if outcomes == {"too large"} else 422
