"""What a running stream shows on the page: its newest frame, who is there, how many there were, and how it does.

The sinks store what is newest and nothing else: whoever looks asks for it, and a slow one asks less often. So no viewer
can hold the stream up.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from agegender_core.faces import Faces, Frame
from agegender_core.records import face_records, gender_of, plain_text
from agegender_core.resizing import resize_area

from .batching import jpeg

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

_OVER_AFTER = 5.0  # seconds without a face after which a track is over
_KEPT = 600  # points of the history
_STEP = 1.0  # seconds from one to the next
_WIDEST = 1280
_JPEG_QUALITY = 80


@dataclass
class _Person:
    first: float
    last: float
    p_male: float | None = None


@dataclass
class _State:
    """Of one source. What is of a stream's own time is in its seconds, the history in seconds since 1970."""

    time: float = 0.0
    frames: int = 0
    faces: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    people: dict[int, _Person] = field(default_factory=dict)
    over: Counter[str] = field(default_factory=Counter)
    history: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))


class LiveView:
    """The newest of one or more sources, for viewers in other threads.

    Args:
        names: of the sources.
        shows_frames: whether pictures are shown, too.

    Attributes:
        ended: no frame comes any more.
    """

    def __init__(self, names: Sequence[str], shows_frames: bool = True) -> None:
        self.ended = False
        self.names = [plain_text(name) for name in names]
        self.shows_frames = shows_frames
        self.pictures = [LivePicture() for _ in names] if shows_frames else []
        self.numbers = [LiveNumbers() for _ in names]
        self._health: Mapping[str, Any] = {}
        self._metrics = ""

    def tell_health(self, document: Mapping[str, Any], metrics: str) -> None:
        """How the stream does by now: what `Telemetry.document` and `Telemetry.prometheus` give."""
        self._health, self._metrics = document, metrics

    @property
    def metrics(self) -> str:
        """The stream's figures for Prometheus, of the last `tell_health`."""
        return self._metrics

    def state(self) -> dict[str, Any]:
        """Who is there and how many there were, by source, and the stream's health; as JSON takes it."""
        pairs = zip(self.names, self.numbers, strict=True)
        return {
            "sources": [{"source": name, **numbers.state()} for name, numbers in pairs],
            "health": self._health,
        }


class LivePicture:
    """A frame sink that keeps the newest frame; it is encoded when somebody asks for it.

    Attributes:
        done: never.
        number: of the newest frame, from 1; 0 before there is one.
    """

    done = False

    def __init__(self) -> None:
        self.number = 0
        self._frame: Frame | None = None
        self._lock = threading.Lock()
        self._encoded: tuple[int, bytes] = 0, b""

    def write(self, frame: Frame, time: float) -> None:
        """Take a frame: uint8 RGB (H, W, 3), and its time in seconds."""
        self._frame = frame
        self.number += 1

    def jpeg(self) -> tuple[int, bytes]:
        """Number and JPEG file of the newest frame, at most 1280 pixels wide; encoded once, however many look."""
        with self._lock:
            number, frame = self.number, self._frame
            if frame is not None and self._encoded[0] != number:
                self._encoded = number, jpeg(_fitting(frame), _JPEG_QUALITY)
            return self._encoded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class LiveNumbers:
    """A result sink that keeps who is there, and how many there were.

    A person is a confirmed track; it counts as of the gender that was given last.

    Attributes:
        done: never.
        counted: gives what is counted at lines and in zones, as `count_records` does; asked in `write`.
    """

    done = False

    def __init__(self) -> None:
        self.counted: Callable[[], list[dict[str, Any]]] = list
        self._lock = threading.Lock()
        self._state = _State()

    def write(self, result: FrameResult) -> None:
        """Take the result of one frame."""
        shown = _tracked(result.faces)
        records = face_records(shown)
        counts = self.counted()
        now = time.time()
        with self._lock:
            state = self._state
            state.time, state.frames, state.faces = result.time, state.frames + 1, records
            state.counts = counts
            for record in records:
                person = state.people.setdefault(record["track_id"], _Person(result.time, result.time))
                person.last = result.time
                person.p_male = record["p_male"] if record["p_male"] is not None else person.p_male
                record["seconds"] = round(result.time - person.first, 1)
            for number in [n for n, one in state.people.items() if result.time - one.last > _OVER_AFTER]:
                state.over[_gender(state.people.pop(number))] += 1
            if not state.history or now - state.history[-1][0] >= _STEP:
                state.history.append((round(now, 1), len(records), self._count()))

    def _count(self) -> int:
        return sum(self._state.over.values()) + len(self._state.people)

    def state(self) -> dict[str, Any]:
        """What there is to say now, as JSON takes it."""
        with self._lock:
            state = self._state
            people = state.over + Counter(map(_gender, state.people.values()))
            return {
                "frames": state.frames,
                "time": round(state.time, 3),
                "faces": state.faces,
                "counts": state.counts,
                "people": {name: people[name] for name in ("female", "male", "unknown")},
                "history": list(state.history),
            }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


def _tracked(faces: Faces) -> Faces:
    # A face that was seen only once may be a mistake: the page shows the people of whom it is sure.
    return faces[:0] if faces.track_id is None else faces[faces.track_id >= 0]


def _gender(person: _Person) -> str:
    return "unknown" if person.p_male is None else gender_of(person.p_male)


def _fitting(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    if width <= _WIDEST:
        return frame
    size = _WIDEST, max(1, round(height * _WIDEST / width))
    return resize_area(frame, size)
