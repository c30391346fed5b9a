"""The TOML file of lines and zones."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agegender_core.spelling import near_names

from .bands import DEFAULT_BANDS, AgeBands
from .regions import Line, Point, Regions, Zone

_TOP = ("frame", "ages", "line", "zone")
_OF_LINE = {"name": True, "start": True, "end": True, "anchor": False, "source": False}
_OF_ZONE = {"name": True, "points": True, "stay": False, "anchor": False, "source": False}


def read_regions(path: str | os.PathLike[str]) -> Regions:
    """The lines and zones of a file.

    It has tables ``[[line]]`` (``name``, ``start``, ``end``) and ``[[zone]]`` (``name``, ``points``, ``stay``); see
    `Line` and `Zone`, which also have ``anchor`` and ``source``. A point is ``[x, y]`` in pixels of a frame of the size
    ``frame = [width, height]``, or without that key in parts of the frame, 0 to 1. ``ages = [18, 65]`` sets the edges
    of the age bands.

    Raises:
        ValueError: it names the path and what is wrong: no TOML, a key that is unknown or missing, a value of another
            kind, and what `Line`, `Zone` and `Regions` refuse.
        OSError: the file can't be read.
    """
    try:
        return regions_of(tomllib.loads(Path(path).read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def regions_toml(regions: Regions, frame: tuple[int, int]) -> str:
    """The text of a file from which `read_regions` reads the same, to the pixel.

    Args:
        regions: what to write.
        frame: width and height of the frames in pixels, > 0.
    """

    def pixels(point: Point) -> str:
        return f"[{round(point[0] * frame[0], 1):g}, {round(point[1] * frame[1], 1):g}]"

    def more(region: Line | Zone) -> list[str]:
        lines = [f'anchor = "{region.anchor}"'] if region.anchor != "middle" else []
        return [*lines, *([f"source = {_text(region.source)}"] if region.source is not None else [])]

    blocks = [[f"frame = [{frame[0]}, {frame[1]}]"]]
    if regions.bands != DEFAULT_BANDS:
        blocks[0].append(f"ages = {list(regions.bands.edges)}")
    for line in regions.lines:
        ends = [f"start = {pixels(line.start)}", f"end = {pixels(line.end)}"]
        blocks.append(["[[line]]", f"name = {_text(line.name)}", *ends, *more(line)])
    for zone in regions.zones:
        corners = f"points = [{', '.join(map(pixels, zone.points))}]"
        blocks.append(["[[zone]]", f"name = {_text(zone.name)}", corners, f"stay = {zone.stay:g}", *more(zone)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _text(text: str) -> str:
    # A JSON string is a TOML string, but for the one control character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def regions_of(document: Mapping[str, Any]) -> Regions:
    """The lines and zones of what such a file has, as TOML or JSON gives it. Raises ValueError; see `read_regions`."""
    _check_keys("the file", document, dict.fromkeys(_TOP, False))
    size = (1.0, 1.0)
    if "frame" in document:
        size = _pair("frame", document["frame"])
        if min(size) <= 0:
            raise ValueError(f"frame = {document['frame']} is no width and height in pixels")
    bands = DEFAULT_BANDS
    if "ages" in document:
        if not isinstance(document["ages"], list):
            raise ValueError(f"ages = {document['ages']!r} is no list of years, as in ages = [18, 65]")
        bands = AgeBands(tuple(document["ages"]))
    lines = tuple(_line(table, size) for table in _tables(document, "line"))
    zones = tuple(_zone(table, size) for table in _tables(document, "zone"))
    return Regions(lines, zones, bands)


def _tables(document: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    tables = document.get(kind, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{kind} is no list of tables; each begins with [[{kind}]]")
    return tables


def _line(table: Mapping[str, Any], size: Point) -> Line:
    what = _named("line", table, _OF_LINE)
    start, end = (_point(f"{what}: {key}", table[key], size) for key in ("start", "end"))
    return Line(table["name"], start, end, table.get("anchor", "middle"), table.get("source"))


def _zone(table: Mapping[str, Any], size: Point) -> Zone:
    what = _named("zone", table, _OF_ZONE)
    points = table["points"]
    if not isinstance(points, list):
        raise ValueError(f"{what}: points = {points!r} is no list of points")
    corners = tuple(_point(f"{what}: a point", point, size) for point in points)
    stay = table.get("stay", 5.0)
    if type(stay) not in (int, float):
        raise ValueError(f"{what}: stay = {stay!r} is no number of seconds")
    return Zone(table["name"], corners, float(stay), table.get("anchor", "middle"), table.get("source"))


def _named(kind: str, table: Mapping[str, Any], keys: Mapping[str, bool]) -> str:
    name = table.get("name")
    what = f"{kind} {name!r}" if isinstance(name, str) else f"a {kind}"
    _check_keys(what, table, keys)
    for key in ("name", "anchor", "source"):
        if key in table and not isinstance(table[key], str):
            raise ValueError(f"{what}: {key} = {table[key]!r} is no text in quotes")
    return what


def _check_keys(what: str, table: Mapping[str, Any], keys: Mapping[str, bool]) -> None:
    for key in table:
        if key not in keys:
            near = near_names(key, keys)
            hint = f"; did you mean {' or '.join(near)}?" if near else f", expected {', '.join(keys)}"
            raise ValueError(f"{what} has an unknown key {key!r}{hint}")
    for key, needed in keys.items():
        if needed and key not in table:
            raise ValueError(f"{what} has no {key!r}")


def _pair(what: str, value: Any) -> Point:
    numbers = isinstance(value, list) and len(value) == 2
    if not numbers or not all(type(part) in (int, float) and math.isfinite(part) for part in value):
        raise ValueError(f"{what} = {value!r} is no pair of numbers, as in [640, 360]")
    return float(value[0]), float(value[1])


def _point(what: str, value: Any, size: Point) -> Point:
    x, y = _pair(what, value)
    if not (0 <= x <= size[0] and 0 <= y <= size[1]):
        unit = (
            "parts of the frame from 0 to 1; frame = [width, height] lets you write pixels"
            if size == (1.0, 1.0)
            else f"pixels of a frame of {size[0]:g} x {size[1]:g}"
        )
        raise ValueError(f"{what} = {value!r} is outside the frame: points are {unit}")
    return x / size[0], y / size[1]
