"""Lines and zones of a picture, in parts of its width and height."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

from .bands import DEFAULT_BANDS, AgeBands

Point: TypeAlias = tuple[float, float]
"""x and y as parts of the frame's width and height, in [0, 1]; y points down."""

Anchor: TypeAlias = Literal["middle", "top", "bottom"]
"""The point of a box that counts: its middle, or the middle of its upper or lower edge."""

ANCHORS: tuple[Anchor, ...] = get_args(Anchor)


@dataclass(frozen=True)
class Line:
    """A line that people cross.

    Looking from `start` to `end`, people who cross from right to left go in, as with supervision's ``LineZone``: across
    a line drawn from left to right they go in upwards.

    Attributes:
        name: what its counts are called.
        start: where it begins.
        end: where it ends.
        anchor: the point of a box that crosses it.
        source: the name of the source that it is for; ``None``: any.

    Raises:
        ValueError: an empty name, a point outside the frame, a line of zero length, an unknown anchor.
    """

    name: str
    start: Point
    end: Point
    anchor: Anchor = "middle"
    source: str | None = None

    def __post_init__(self) -> None:
        _check(f"line {self.name!r}", self, (self.start, self.end))
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} has no length: it starts and ends at the same point")

    @property
    def points(self) -> tuple[Point, ...]:
        """Its two ends."""
        return self.start, self.end


@dataclass(frozen=True)
class Zone:
    """A part of the picture in which people are.

    Attributes:
        name: what its counts are called.
        points: the corners of a polygon, three or more, in order; the last is joined to the first.
        stay: seconds from which a visit counts as a stay; a shorter one is of somebody who passed.
        anchor: the point of a box that is inside or not.
        source: the name of the source that it is for; ``None``: any.

    Raises:
        ValueError: an empty name, a point outside the frame, fewer than three corners, edges that cross or touch, a
            stay below 0, an unknown anchor.
    """

    name: str
    points: tuple[Point, ...]
    stay: float = 5.0
    anchor: Anchor = "middle"
    source: str | None = None

    def __post_init__(self) -> None:
        what = f"zone {self.name!r}"
        _check(what, self, self.points)
        if len(self.points) < 3:
            raise ValueError(f"{what} has {len(self.points)} corners, expected three or more")
        if not (math.isfinite(self.stay) and self.stay >= 0):
            raise ValueError(f"{what}: stay = {self.stay} is no number of seconds of 0 or more")
        if not _is_simple(self.points):
            raise ValueError(f"{what}: its edges cross or touch; name the corners in the order of a walk around it")


@dataclass(frozen=True)
class Regions:
    """What to count at.

    Attributes:
        lines: those of all sources.
        zones: those of all sources.
        bands: the age bands to count by.

    Raises:
        ValueError: there is none, or two have the same name.
    """

    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    bands: AgeBands = field(default=DEFAULT_BANDS)

    def __post_init__(self) -> None:
        names = [region.name for region in self.all]
        if not names:
            raise ValueError("no line and no zone to count at")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two regions are called {twice!r}; counts go by the name")

    @property
    def all(self) -> list[Line | Zone]:
        """The lines, then the zones."""
        return [*self.lines, *self.zones]

    @property
    def sources(self) -> set[str]:
        """The names of sources that some of them are for."""
        return {region.source for region in self.all if region.source is not None}

    def for_source(self, *names: str) -> tuple[tuple[Line, ...], tuple[Zone, ...]]:
        """The lines and zones of a source that goes by these names, in the order of the file."""
        wanted = {None, *names}
        return (
            tuple(line for line in self.lines if line.source in wanted),
            tuple(zone for zone in self.zones if zone.source in wanted),
        )


def _check(what: str, region: Line | Zone, points: tuple[Point, ...]) -> None:
    if not region.name.strip():
        raise ValueError("a region needs a name")
    for point in points:
        if not all(0 <= value <= 1 for value in point):
            raise ValueError(f"{what}: the point ({point[0]:g}, {point[1]:g}) is outside the frame")
    if region.anchor not in ANCHORS:
        raise ValueError(f"{what}: anchor = {region.anchor!r}, expected {', '.join(ANCHORS)}")


def side_of(start: Point, end: Point, point: Point) -> float:
    """Above 0 where the point is to the right of the way from start to end as people see it, with y pointing down.

    Its amount is the distance from the line times the line's length.
    """
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _is_simple(points: tuple[Point, ...]) -> bool:
    edges = list(pairwise((*points, points[0])))
    if any(start == end for start, end in edges):
        return False
    count = len(edges)
    for first in range(count):
        for second in range(first + 1, count):
            if second == first + 1 or (first == 0 and second == count - 1):
                # Neighbours share a corner; they must not run back over one another.
                a, b = (first, second) if second == first + 1 else (second, first)
                if _turns_back(*edges[a], edges[b][1]):
                    return False
            elif _touch(*edges[first], *edges[second]):
                return False
    return True


def _turns_back(start: Point, corner: Point, end: Point) -> bool:
    ahead = (corner[0] - start[0]) * (end[0] - corner[0]) + (corner[1] - start[1]) * (end[1] - corner[1])
    return side_of(start, corner, end) == 0 and ahead < 0


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    sides = side_of(a, b, c), side_of(a, b, d), side_of(c, d, a), side_of(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    pairs = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(side == 0 and _within(*pair) for side, pair in zip(sides, pairs, strict=True))


def _within(start: Point, end: Point, point: Point) -> bool:
    return all(min(s, e) <= p <= max(s, e) for s, e, p in zip(start, end, point, strict=True))
