"""Persons: tracks, and the tracks that go on after a short loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_core.faces import Faces

Box: TypeAlias = tuple[float, float, float, float]

_MEMORY = 0.5  # seconds over which a person's velocity is averaged
_LIKE = 1.6  # Boxes of one person differ in size by less than this factor after a short loss.
_SURE = 0.8  # Genders contradict each other only where both are at least this sure.


@dataclass(eq=False)
class Person:
    """Somebody who was followed, maybe under several track ids; what is known goes on changing while they are seen.

    Attributes:
        number: from 1, in the order in which they came.
        track_id: the newest.
        first_seen: seconds since the first frame of the video.
        last_seen: likewise.
        xyxy: the last box in pixels.
        age: expected age in years, as it was shown last; ``None`` where it is not known.
        age_interval: the 90 % interval of it, in years.
        p_male: probability of male, in [0, 1].
    """

    number: int
    track_id: int
    first_seen: float
    last_seen: float
    xyxy: Box
    age: float | None = None
    age_interval: tuple[float, float] | None = None
    p_male: float | None = None
    _velocity: tuple[float, float] = (0.0, 0.0)

    @property
    def size(self) -> float:
        """Of the last box, in pixels: the side of a square of the same area."""
        return size_of(self.xyxy)

    def see(self, box: Box, time: float) -> None:
        """They are here at `time`."""
        elapsed = time - self.last_seen
        if elapsed > 0:
            share = 1 - math.exp(-elapsed / _MEMORY)
            moved = (new - old for new, old in zip(middle_of(box), middle_of(self.xyxy), strict=True))
            x, y = ((1 - share) * v + share * way / elapsed for v, way in zip(self._velocity, moved, strict=True))
            self._velocity = x, y
        self.xyxy, self.last_seen = box, time

    def expected(self, time: float) -> tuple[float, float]:
        """Where the middle of the box should be at `time`, after a short loss."""
        gap = time - self.last_seen
        x, y = (m + gap * v for m, v in zip(middle_of(self.xyxy), self._velocity, strict=True))
        return x, y


def size_of(box: Box) -> float:
    """The side in pixels of a square with the area of the box."""
    return math.sqrt(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))


def middle_of(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


class PersonLinker:
    """Which track is which person: a new track near where one was just lost is the same person.

    A track that begins goes on for the person who is not seen in this frame, was seen at most `window` seconds ago, and
    is expected, by their last place and velocity, within `reach` times the size of their box, if the boxes are about
    as large and the genders don't contradict each other. The nearest pairs come first. Everybody else is new.

    Args:
        window: seconds, 0 or more; with 0 each track is a person.
        reach: in sizes of the box (the square root of its area), > 0.
        over_after: seconds after which a person who isn't seen is over, 0 or more, and at least `window`: as long, a
            track that comes back under its own id is still theirs.
    """

    def __init__(self, window: float = 2.0, reach: float = 1.0, over_after: float = 5.0) -> None:
        if not (math.isfinite(window) and window >= 0):
            raise ValueError(f"window is {window}, expected seconds of 0 or more")
        if not (math.isfinite(reach) and reach > 0):
            raise ValueError(f"reach is {reach}, expected a number above 0")
        if not (math.isfinite(over_after) and over_after >= window):
            raise ValueError(f"over_after is {over_after}, expected seconds of {window} or more, as window has")
        self.window, self.reach, self.over_after = window, reach, over_after
        self._of_track: dict[int, Person] = {}
        self._count = 0

    def update(self, faces: Faces) -> tuple[list[Person], list[Person]]:
        """Take a frame in.

        Returns:
            Who is seen in it, in the order of its rows; and who is over, since they were last seen too long ago.

        Raises:
            ValueError: faces that no tracker has seen.
        """
        if faces.track_id is None:
            raise ValueError("faces have no track_id: track them first, as Pipeline.for_video does")
        time = faces.time
        rows = {number: row for row, number in enumerate(faces.track_id.tolist()) if number >= 0}
        boxes: dict[int, Box] = {number: tuple(faces.xyxy[row].tolist()) for number, row in rows.items()}
        over = [person for person in self._of_track.values() if self._is_over(person, rows, time)]
        for person in over:
            del self._of_track[person.track_id]
        self._take_up([number for number in rows if number not in self._of_track], boxes, faces, rows)
        seen = []
        for number, row in rows.items():
            person = self._of_track[number]
            person.see(boxes[number], time)
            _learn(person, faces, row)
            seen.append(person)
        return seen, over

    def finish(self) -> list[Person]:
        """The video is over: everybody who is left."""
        left = list(self._of_track.values())
        self._of_track.clear()
        return left

    def _is_over(self, person: Person, rows: dict[int, int], time: float) -> bool:
        # A track that is seen goes on however long ago it was lost: the tracker has waited for it.
        return person.track_id not in rows and time - person.last_seen > self.over_after

    def _take_up(self, new: list[int], boxes: dict[int, Box], faces: Faces, rows: dict[int, int]) -> None:
        lost = [
            person
            for person in self._of_track.values()
            if person.track_id not in rows and 0 < faces.time - person.last_seen <= self.window
        ]
        pairs = []
        for number in new:
            for person in lost:
                distance = math.dist(person.expected(faces.time), middle_of(boxes[number])) / max(person.size, 1e-9)
                if distance <= self.reach and _alike(person, boxes[number], faces, rows[number]):
                    pairs.append((distance, number, person))
        taken: set[int] = set()
        for _, number, person in sorted(pairs, key=lambda pair: pair[:2]):
            if number in self._of_track or person.number in taken:
                continue
            taken.add(person.number)
            del self._of_track[person.track_id]
            person.track_id = number
            self._of_track[number] = person
        for number in new:
            if number not in self._of_track:
                self._count += 1
                self._of_track[number] = Person(self._count, number, faces.time, faces.time, boxes[number])


def _alike(person: Person, box: Box, faces: Faces, row: int) -> bool:
    if not person.size / _LIKE <= size_of(box) <= person.size * _LIKE:
        return False
    p_male = _finite(faces.p_male, row)
    if p_male is None or person.p_male is None or min(max(p, 1 - p) for p in (p_male, person.p_male)) < _SURE:
        return True
    return (p_male >= 0.5) == (person.p_male >= 0.5)


def _learn(person: Person, faces: Faces, row: int) -> None:
    """What is known of them by now; what is not known in this frame stays."""
    age, p_male = _finite(faces.age, row), _finite(faces.p_male, row)
    if age is not None:
        person.age = age
        ends = [None, None] if faces.age_interval is None else [_finite(end, row) for end in faces.age_interval.T]
        person.age_interval = None if ends[0] is None or ends[1] is None else (ends[0], ends[1])
    if p_male is not None:
        person.p_male = p_male


def _finite(column: npt.NDArray[np.float32] | None, row: int) -> float | None:
    if column is None:
        return None
    value = float(column[row])
    return value if math.isfinite(value) else None
