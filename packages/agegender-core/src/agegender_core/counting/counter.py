"""Counting at the lines and zones of one source."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import cv2
import numpy as np

from agegender_core.faces import Faces

from .people import Box, Person, PersonLinker
from .regions import Anchor, Line, Zone, side_of

EventKind: TypeAlias = Literal["in", "out", "entered", "appeared", "left", "vanished"]
"""What happens at a line: somebody goes in or out. And at a zone: they enter it from outside, or are seen for the first
time and are in it; they leave it, or are seen for the last time and are in it."""

OF_LINES: tuple[EventKind, ...] = ("in", "out")
OF_ZONES: tuple[EventKind, ...] = ("entered", "appeared", "left", "vanished")
_AT_MOST = 0.5  # of a zone's area divided by its perimeter, which is about half of the depth of its middle


@dataclass(frozen=True)
class CountEvent:
    """Somebody did something at a line or a zone.

    Attributes:
        region: its name.
        kind: see `EventKind`.
        person: who; their answers go on changing while they are seen.
        time: of the frame, in seconds since the first one; for "vanished" that of the last frame that showed them.
        captured: that moment in seconds since 1970, for live sources.
        seconds: how long they were in the zone, with "left" and "vanished".
        stayed: with these: for as long as the zone's ``stay``, or longer.
    """

    region: str
    kind: EventKind
    person: Person
    time: float
    captured: float | None = None
    seconds: float | None = None
    stayed: bool | None = None


@dataclass
class Totals:
    """The counts of one region so far.

    Attributes:
        kinds: number of events of each kind.
        now: how many are in the zone; 0 for a line.
        stays: how many visits of the zone that are over were stays.
    """

    kinds: Tally[EventKind] = field(default_factory=Tally)
    now: int = 0
    stays: int = 0

    @property
    def visits(self) -> int:
        """How many visits of the zone have begun."""
        return self.kinds["entered"] + self.kinds["appeared"]


class Counter:
    """Counts people at lines and in zones. It has the state of one video: frames go through it in order.

    A side, and inside or outside, changes only once the anchor is further from the line, or the zone's edge, than
    `margin` times the size of the box, in `frames` frames of that person in a row: people who stand on a line, and
    boxes that jump for a moment, are not counted again and again. It is a crossing when the way of the anchor cut the
    line between its ends; walking around an end is not. Each person is counted once a crossing, also when they are lost
    for a moment: see `PersonLinker`. Faces without a confirmed track are left out. scripts/measure_counting.py measures
    how many are counted wrongly, also for other values.

    Args:
        lines: where to count crossings.
        zones: where to count visits.
        frame_size: width and height of the frames in pixels.
        margin: as a part of the box's size, the square root of its area; 0 or more.
        frames: 1 or more.
        linker: says who is who.
    """

    def __init__(
        self,
        lines: tuple[Line, ...],
        zones: tuple[Zone, ...],
        frame_size: tuple[int, int],
        margin: float = 0.15,
        frames: int = 2,
        linker: PersonLinker | None = None,
    ) -> None:
        if min(frame_size) <= 0:
            raise ValueError(f"frame_size is {frame_size}, expected a width and height above 0")
        if not (math.isfinite(margin) and margin >= 0):
            raise ValueError(f"margin is {margin}, expected 0 or more")
        if frames < 1:
            raise ValueError(f"frames is {frames}, expected 1 or more")
        self.lines, self.zones, self.margin = lines, zones, margin
        self.totals = {name: Totals() for name in [*(line.name for line in lines), *(zone.name for zone in zones)]}
        self._linker = PersonLinker() if linker is None else linker
        self._lines = [_LineState(line, frames) for line in lines]
        self._zones = [_ZoneState(zone, frames) for zone in zones]
        self.resize(frame_size)

    def resize(self, frame_size: tuple[int, int]) -> None:
        """Frames are of another size from now on, as after a camera has come back."""
        for line in self._lines:
            line.resize(frame_size)
        for zone in self._zones:
            zone.resize(frame_size)

    def update(self, faces: Faces, captured: float | None = None) -> list[CountEvent]:
        """The events of a frame: of who is over, then of who is seen, in the order of rows, lines before zones.

        Args:
            faces: tracked; `faces.time` says when.
            captured: when the frame came in, in seconds since 1970.

        Raises:
            ValueError: faces that no tracker has seen.
        """
        seen, over = self._linker.update(faces)
        events = [event for person in over for event in self._end(person, faces.time, captured)]
        for person in seen:
            for line in self._lines:
                kind = line.move(person, self.margin)
                if kind is not None:
                    events.append(CountEvent(line.region.name, kind, person, faces.time, captured))
            for zone in self._zones:
                events += zone.move(person, self.margin, captured)
        self._add(events)
        return events

    def finish(self, time: float, captured: float | None = None) -> list[CountEvent]:
        """The video is over: who is still in a zone vanishes.

        Args:
            time: of the last frame.
            captured: likewise, in seconds since 1970.
        """
        events = [event for person in self._linker.finish() for event in self._end(person, time, captured)]
        self._add(events)
        return events

    def _end(self, person: Person, time: float, captured: float | None) -> Iterator[CountEvent]:
        moment = None if captured is None else captured - (time - person.last_seen)
        for line in self._lines:
            line.forget(person)
        for zone in self._zones:
            yield from zone.forget(person, moment)

    def _add(self, events: list[CountEvent]) -> None:
        for event in events:
            totals = self.totals[event.region]
            totals.kinds[event.kind] += 1
            totals.stays += bool(event.stayed)
        for zone in self._zones:
            self.totals[zone.region.name].now = zone.now


@dataclass
class _Place:
    """Where somebody is known to be: on the one side or the other, inside or outside; ``None``: not yet."""

    known: bool | None = None
    frames: int = 0  # in which they were clearly elsewhere, in a row

    def change(self, place: bool, clear: bool, frames: int) -> bool:
        """Take a frame in; whether they are known to be elsewhere from now on."""
        if not clear or place == self.known:
            self.frames = 0
            return False
        self.frames += 1
        # Where somebody is first seen, they are.
        if self.known is not None and self.frames < frames:
            return False
        self.known, self.frames = place, 0
        return True


@dataclass
class _Way:
    """Somebody's way past a line: the last point with its distance to the line, and their side (right of it).

    `along` is where the way last cut the line or its continuation, as a part of the line.
    """

    point: tuple[float, float]
    distance: float
    side: _Place = field(default_factory=_Place)
    along: float = math.nan


class _LineState:
    def __init__(self, line: Line, frames: int) -> None:
        self.region, self._frames = line, frames
        self._ways: dict[int, _Way] = {}

    def resize(self, size: tuple[int, int]) -> None:
        self._start, self._end = (_pixels(point, size) for point in self.region.points)
        self._length = math.dist(self._start, self._end)
        self._ways.clear()

    def move(self, person: Person, margin: float) -> EventKind | None:
        point = anchor_of(person.xyxy, self.region.anchor)
        distance = side_of(self._start, self._end, point) / self._length
        way = self._ways.setdefault(person.number, _Way(point, distance))
        if (distance > 0) != (way.distance > 0):
            way.along = self._along(way, point, distance)
        way.point, way.distance = point, distance
        before, right = way.side.known, distance > 0
        if not way.side.change(right, abs(distance) > margin * person.size, self._frames):
            return None
        # Half open, so that who walks over the point where two lines meet is counted once.
        if before is None or not 0 <= way.along < 1:
            return None
        return "out" if right else "in"

    def _along(self, way: _Way, point: tuple[float, float], distance: float) -> float:
        share = way.distance / (way.distance - distance)
        cut = [old + share * (new - old) for old, new in zip(way.point, point, strict=True)]
        direction = [end - start for start, end in zip(self._start, self._end, strict=True)]
        return sum((c - s) * d for c, s, d in zip(cut, self._start, direction, strict=True)) / self._length**2

    def forget(self, person: Person) -> None:
        self._ways.pop(person.number, None)


class _ZoneState:
    def __init__(self, zone: Zone, frames: int) -> None:
        self.region, self._frames = zone, frames
        self._inside: dict[int, _Place] = {}
        self._since: dict[int, float] = {}

    @property
    def now(self) -> int:
        return len(self._since)

    def resize(self, size: tuple[int, int]) -> None:
        self._corners = np.array([_pixels(point, size) for point in self.region.points], np.float32)
        area, perimeter = cv2.contourArea(self._corners), cv2.arcLength(self._corners, True)
        # In a zone that is small beside the boxes nobody could be deep enough inside.
        self._widest = _AT_MOST * area / perimeter

    def move(self, person: Person, margin: float, captured: float | None) -> Iterator[CountEvent]:
        depth = cv2.pointPolygonTest(self._corners, anchor_of(person.xyxy, self.region.anchor), True)
        place, inside, time = self._inside.setdefault(person.number, _Place()), depth > 0, person.last_seen
        before = place.known
        if not place.change(inside, abs(depth) > min(margin * person.size, self._widest), self._frames):
            return
        if inside:
            self._since[person.number] = time
            kind: EventKind = "appeared" if before is None else "entered"
            yield CountEvent(self.region.name, kind, person, time, captured)
        elif before:
            yield self._over("left", person, time, captured)

    def forget(self, person: Person, captured: float | None) -> Iterator[CountEvent]:
        place = self._inside.pop(person.number, None)
        if place is not None and place.known:
            yield self._over("vanished", person, person.last_seen, captured)

    def _over(self, kind: EventKind, person: Person, time: float, captured: float | None) -> CountEvent:
        seconds = time - self._since.pop(person.number)
        return CountEvent(self.region.name, kind, person, time, captured, seconds, seconds >= self.region.stay)


def anchor_of(box: Box, anchor: Anchor) -> tuple[float, float]:
    """The point of a box that counts, in pixels."""
    left, top, right, bottom = box
    y = top if anchor == "top" else bottom if anchor == "bottom" else (top + bottom) / 2
    return (left + right) / 2, y


def _pixels(point: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    return point[0] * size[0], point[1] * size[1]
