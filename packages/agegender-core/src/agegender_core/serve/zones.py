"""The page on which lines and zones are drawn over a frame, for this machine only.

The address begins with a secret that only the user who started the server gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from agegender_core.counting import Regions, regions_toml
from agegender_core.counting.regions import ANCHORS
from agegender_core.counting.regions_file import regions_of
from agegender_core.faces import Frame

from .access import HEADERS, Guard, refusal
from .batching import jpeg
from .headers import SafeHeaders
from .json_body import json_object
from .limits import RateLimit

_FILES = {
    "/": ("zones.html", "text/html; charset=utf-8"),
    "/zones.js": ("zones.js", "text/javascript; charset=utf-8"),
    "/shapes.js": ("shapes.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/zones.css": ("zones.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_MOST_BYTES = 256 * 1024
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Drawing:
    """What is drawn on.

    Attributes:
        frame: uint8 RGB (H, W, 3).
        regions: what is there to begin with.
        command: what one does with the file, shown once it is saved.
        save: takes the text of the file; raises OSError.
    """

    frame: Frame
    regions: Regions | None
    command: str
    save: Callable[[str], None]


def zones_app(drawing: Drawing, secret: str) -> Starlette:
    """The page, under ``/SECRET/``.

    Args:
        drawing: what is drawn on, and where it goes.
        secret: of letters, digits, "-" and "_".
    """
    height, width = drawing.frame.shape[:2]
    picture = jpeg(drawing.frame, _JPEG_QUALITY)
    about = {"frame": [width, height], "anchors": ANCHORS, "command": drawing.command, **_pixels(drawing)}

    async def check(request: Request) -> Response:
        return JSONResponse({"toml": await _toml(request, (width, height))})

    async def save(request: Request) -> Response:
        text = await _toml(request, (width, height))
        try:
            await run_in_threadpool(drawing.save, text)
        except OSError as error:
            raise HTTPException(500, f"it can't be saved: {error.strerror or error}") from None
        return JSONResponse({"toml": text})

    pages = [Route(path, _file(*file)) for path, file in _FILES.items()]
    routes = [
        Route("/about", lambda _: JSONResponse(about)),
        Route("/frame.jpg", lambda _: Response(picture, media_type="image/jpeg")),
        Route("/check", check, methods=["POST"]),
        Route("/save", save, methods=["POST"]),
    ]
    return Starlette(
        routes=[Mount(f"/{secret}", routes=[*pages, *routes])],
        middleware=[
            Middleware(SafeHeaders, headers=HEADERS),
            Middleware(Guard, token=None, public=(), rate=RateLimit(0)),
        ],
        exception_handlers={HTTPException: _explain},  # type: ignore[dict-item]
    )


def _pixels(drawing: Drawing) -> dict[str, Any]:
    """The regions in pixels of the frame, as the page sends them back."""
    height, width = drawing.frame.shape[:2]
    if drawing.regions is None:
        return {"line": [], "zone": []}

    def shape(region: Any, **more: Any) -> dict[str, Any]:
        points = [[round(x * width, 1), round(y * height, 1)] for x, y in region.points]
        return {"name": region.name, "points": points, "anchor": region.anchor, "source": region.source, **more}

    return {
        "ages": list(drawing.regions.bands.edges),
        "line": [shape(line) for line in drawing.regions.lines],
        "zone": [shape(zone, stay=zone.stay) for zone in drawing.regions.zones],
    }


async def _toml(request: Request, size: tuple[int, int]) -> str:
    document = await json_object(request, _MOST_BYTES)
    try:
        return regions_toml(regions_of({**document, "frame": list(size)}), size)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    content = (files("agegender_core.serve") / "page" / name).read_bytes()
    return lambda _: Response(content, headers={"Content-Type": media_type})


def _explain(_: Request, error: HTTPException) -> Response:
    return refusal(error.status_code, error.detail)
