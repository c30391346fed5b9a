"""The application: its routes, what may reach them, and how its errors look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agegender_core.records import UNREADABLE, UNSURE

from .access import HEADERS, Guard, refusal
from .batching import Batcher
from .headers import SafeHeaders
from .limits import Limits, RateLimit
from .live import LiveView
from .live_api import LiveApi
from .metrics import CONTENT_TYPE, ServerMetrics
from .openapi import description
from .predicting import PredictApi

_HTML, _CSS, _JS = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"
_FILES = {
    "/": ("index.html", _HTML),
    "/docs": ("docs.html", _HTML),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/style.css": ("style.css", _CSS),
} | {
    f"/{name}": (name, _JS)
    for name in ("camera.js", "chart.js", "docs.js", "faces.js", "live.js", "pictures.js", "server.js", "start.js")
}


@dataclass(frozen=True)
class Served:
    """What a server shows.

    Attributes:
        batcher: looks at pictures; ``None``: the server takes none.
        live: a stream that runs; ``None``: there is none.
        model: the name of the model.
        metrics: what is told of it.
    """

    batcher: Batcher | None = None
    live: LiveView | None = None
    model: str = ""
    metrics: ServerMetrics | None = None


def serve_app(served: Served, limits: Limits, token: str | None = None) -> Starlette:
    """The application of a server.

    Args:
        served: what it shows.
        limits: what it takes.
        token: that all but the page itself need; ``None``: then it answers under this machine's own names only.
    """
    metrics = served.metrics or ServerMetrics()
    about = _about(served, limits, token)
    document = description(limits, predicts=served.batcher is not None, streams=served.live is not None)
    routes: list[BaseRoute] = [
        *(Route(path, _file(*file)) for path, file in _FILES.items()),
        Route("/about", lambda _: JSONResponse(about)),
        Route("/healthz", lambda _: _health(served)),
        Route("/metrics", lambda _: Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})),
        Route("/openapi.json", lambda _: JSONResponse(document)),
    ]
    if served.batcher is not None:
        predicting = PredictApi(served.batcher, limits)
        routes += [
            Route("/predict", predicting.predict, methods=["POST"]),
            Route("/annotate", predicting.annotate, methods=["POST"]),
        ]
    if served.live is not None:
        live = LiveApi(served.live)
        routes += [Route("/live", live.state), Route("/live/{number}/frame", live.frame)]
    public = {*_FILES, "/about", "/healthz", "/openapi.json"}
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(_Measured, metrics=metrics, routes=routes),
            Middleware(SafeHeaders, headers=HEADERS),
            Middleware(Guard, token=token, public=public, rate=RateLimit(limits.rate)),
        ],
        exception_handlers={HTTPException: _explain},  # type: ignore[dict-item]
    )
    # Nobody is led to where a Host header says.
    app.router.redirect_slashes = False
    return app


def _about(served: Served, limits: Limits, token: str | None) -> dict[str, Any]:
    return {
        "version": version("agegender-core"),
        "model": served.model,
        "needs_token": token is not None,
        "predicts": served.batcher is not None,
        "sources": [] if served.live is None else served.live.names,
        "shows_frames": served.live is not None and served.live.shows_frames,
        "unsure": UNSURE,
        "unreadable": UNREADABLE,
        "max_bytes": limits.max_bytes,
        "max_pictures": limits.max_pictures,
    }


def _health(served: Served) -> Response:
    well = served.batcher is None or served.batcher.alive
    return JSONResponse({"status": "ok" if well else "failed"}, 200 if well else 503)


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    content = (files("agegender_core.serve") / "page" / name).read_bytes()
    return lambda _: Response(content, headers={"Content-Type": media_type})


def _explain(_: Request, error: HTTPException) -> Response:
    return refusal(error.status_code, error.detail, dict(error.headers or {}))


class _Measured:
    """Counts requests by the route that they took; what took none is counted together, that nobody fills the memory."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, routes: list[BaseRoute]) -> None:
        self._app, self._metrics = app, metrics
        self._paths = {route.path for route in routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, status = perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            if scope["type"] == "http":
                path = scope["path"]
                shown = path if path in self._paths else "/live" if path.startswith("/live/") else "other"
                self._metrics.request(shown, status, perf_counter() - start)
