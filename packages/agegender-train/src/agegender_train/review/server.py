"""The server of the review page, on this machine only: answers the page's requests from a session.

It needs the extra ``review``. Nothing that the page sends is used as a path. Access: the address begins with a secret
that only the user who started the server gets; the Host header must name this machine, against DNS rebinding; and
requests that change anything must come from the page itself, as JSON.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from agegender_core.serve.headers import SafeHeaders
from agegender_core.serve.json_body import json_object
from agegender_train.review.other_faces import Box
from agegender_train.review.selection import Selection
from agegender_train.review.session import ReviewSession
from agegender_train.store.labels import parse_age_group

_PAGE = {
    "": ("review.html", "text/html; charset=utf-8"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
} | {
    name: (name, "text/javascript; charset=utf-8")
    for name in ("drawing.js", "grid.js", "others.js", "review.js", "server.js", "words.js")
}
HOST = "127.0.0.1"
_MAX_BODY = 4096
_MAX_FACES = 500
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def review_app(session: ReviewSession, secret: str) -> Starlette:
    """The review page of a session, under ``/SECRET/``."""
    api = _Api(session)
    routes = [
        Route("/chip/{row}", api.chip),
        Route("/picture/{row}", api.picture),
        Route("/api/about", api.about),
        Route("/api/rows", api.rows),
        Route("/api/faces", api.faces),
        Route("/api/others", api.others),
        Route("/api/changes", api.changes),
        Route("/api/decide", api.decide, methods=["POST"]),
        Route("/api/undo", api.undo, methods=["POST"]),
        Route("/api/predict", api.predict, methods=["POST"]),
        *(Route(f"/{path}", _page_file(*file)) for path, file in _PAGE.items()),
    ]
    return Starlette(
        routes=[Mount(f"/{secret}", routes=routes)],
        middleware=[
            Middleware(SafeHeaders, headers=_HEADERS),
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False),
        ],
        exception_handlers={HTTPException: _explain},  # type: ignore[dict-item]
    )


class _Api:
    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._etag = session.store.fingerprint[:16]

    def chip(self, request: Request) -> Response:
        row = _whole_number("row", request.path_params["row"], 404)
        if row >= len(self._session.chips):
            raise HTTPException(404, f"there is no face {row}")
        text = request.query_params.get("box")
        box = None if text is None else _box(text.split(","))
        etag = f'"{self._etag}-{row}-{box}"'
        headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        try:
            data = self._session.chip(row, box)
        except FileNotFoundError as error:
            raise HTTPException(404, str(error)) from None
        except (OSError, ValueError) as error:  # Arrow's errors are of both kinds
            raise HTTPException(500, f"the picture can't be read: {error}") from None
        return Response(data, media_type="image/jpeg", headers=headers)

    def picture(self, request: Request) -> Response:
        row = _whole_number("row", request.path_params["row"], 404)
        return Response(_of_source(self._session.picture, row), media_type="image/jpeg")

    def others(self, request: Request) -> Response:
        row = _whole_number("row", request.query_params.get("row", ""), 400)
        return JSONResponse(_of_source(self._session.other_faces, row))

    def about(self, _: Request) -> Response:
        return JSONResponse(self._session.about())

    def rows(self, request: Request) -> Response:
        """All rows of a selection as int32 (n,), little-endian, and behind them their states as uint8 (n,)."""
        try:
            rows, states = self._session.select(Selection.from_query(request.query_params))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return Response(rows.astype("<i4").tobytes() + states.tobytes(), media_type="application/octet-stream")

    def faces(self, request: Request) -> Response:
        texts = request.query_params.get("rows", "").split(",")
        if len(texts) > _MAX_FACES:
            raise HTTPException(400, f"rows must name at most {_MAX_FACES} faces, got {len(texts)}")
        return self._faces([_whole_number("rows", text, 400) for text in texts])

    def changes(self, request: Request) -> Response:
        return JSONResponse(self._session.changes(_whole_number("since", request.query_params.get("since", "0"), 400)))

    async def decide(self, request: Request) -> Response:
        asked = await _asked(request, {"row", "action", "age", "gender", "box"})
        row, action, gender = asked.get("row"), asked.get("action"), asked.get("gender")
        if type(row) is not int or not isinstance(action, str) or not (gender is None or type(gender) is int):
            raise HTTPException(400, 'a decision must have "row" and "gender" as whole numbers and "action" as text')
        if action == "undo":
            raise HTTPException(400, "to undo is another request")
        try:
            age, box = _age(asked.get("age")), None if asked.get("box") is None else _box(asked["box"])
            await run_in_threadpool(self._session.decide, row, action, age, gender, box)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        except IndexError:
            raise HTTPException(404, f"there is no face {row}") from None
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from None
        except OSError as error:
            raise _not_saved(error) from None
        return self._faces([row])

    async def undo(self, request: Request) -> Response:
        await _asked(request, set())
        try:
            row = await run_in_threadpool(self._session.undo)
        except OSError as error:
            raise _not_saved(error) from None
        return self._faces([] if row is None else [row])

    async def predict(self, request: Request) -> Response:
        await _asked(request, set())
        self._session.predictions.start()
        return self._faces([])

    def _faces(self, rows: list[int]) -> Response:
        try:
            return JSONResponse({"faces": self._session.faces(rows)})
        except IndexError as error:
            raise HTTPException(404, str(error)) from None


def _page_file(name: str, media_type: str) -> Any:
    content = (files("agegender_train.review") / "page" / name).read_bytes()

    def answer(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer


async def _asked(request: Request, known: set[str]) -> Mapping[str, Any]:
    """The JSON object that the page sent, after checks that it was the page."""
    if request.headers.get("origin") != f"http://{request.headers.get('host')}":
        raise HTTPException(403, "only the review page itself may change anything")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "a request must be of the type application/json")
    asked = await json_object(request, _MAX_BODY)
    if not asked.keys() <= known:
        raise HTTPException(400, f"a request must be an object with no other names than {sorted(known)}")
    return asked


def _age(text: Any) -> tuple[float, float] | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError('age must be text such as "34" or "20-29"')
    return parse_age_group(text)


def _box(corners: Any) -> Box:
    texts = [str(corner) for corner in corners] if isinstance(corners, list) else []
    if len(texts) != 4 or not all(re.fullmatch(r"-?[0-9]{1,6}", text) for text in texts):
        raise HTTPException(400, "box must be left, top, right and bottom in whole pixels")
    left, top, right, bottom = map(int, texts)
    if not (left < right and top < bottom):
        raise HTTPException(400, "box must have a width and a height")
    return left, top, right, bottom


def _of_source(give: Callable[[int], Any], row: int) -> Any:
    try:
        return give(row)
    except IndexError:
        raise HTTPException(404, f"there is no face {row}") from None
    except LookupError as error:
        raise HTTPException(404, str(error.args[0])) from None
    except (OSError, ValueError) as error:
        raise HTTPException(500, f"the picture can't be read: {error}") from None


def _whole_number(name: str, text: str, otherwise: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise HTTPException(otherwise, f"{name} must be whole numbers from 0 up, got {text!r:.40}")
    return int(text)


def _not_saved(error: OSError) -> HTTPException:
    return HTTPException(507, f"not saved: {error.strerror or error}: {error.filename or ''}".rstrip(": "))


def _explain(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"problem": error.detail}, error.status_code, headers=error.headers)


def listen(port: int = 0) -> socket.socket:
    """A socket that takes connections from this machine only.

    Args:
        port: 0 for any that is free.

    Raises:
        OSError: the port is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let others take over the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise OSError(f"port {port} can't be used ({error.strerror}); another --port can, or none for any") from None
    return listener


def page_server(app: ASGIApp) -> uvicorn.Server:
    """A server for `app` that logs warnings only."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def serve(session: ReviewSession, port: int, announce: Callable[[str], None]) -> None:
    """Serves the page of `session` until Ctrl-C.

    Args:
        session: what is reviewed.
        port: 0 for any that is free.
        announce: called with the page's address once it can be opened.

    Raises:
        OSError: the port is taken or not allowed.
    """
    secret = secrets.token_urlsafe(16)
    with listen(port) as listener:
        announce(f"http://{HOST}:{listener.getsockname()[1]}/{secret}/")
        # uvicorn shuts down cleanly and then raises the signal again.
        with contextlib.suppress(KeyboardInterrupt):
            page_server(review_app(session, secret)).run(sockets=[listener])
