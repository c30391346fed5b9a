"""What every source gives, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from agegender_core.faces import Frame

DEFAULT_FPS = 25.0
_HIGHEST_FPS = 1000.0


class SourceError(OSError):
    """A source that can't be opened or read; the message names it."""


class SourceLostError(SourceError):
    """A live source that gave frames and then stopped for good: a camera pulled out, a stream that broke off."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """One frame of a source.

    Attributes:
        image: uint8 RGB (H, W, 3).
        index: number of the frame in its source, from 0. Of a live source frames may be missing: those that came while
            another one was at work.
        time: seconds since the first frame; strictly rising. Of a live source: since the first one came in.
        source: the name of the source; a password in it is masked.
        captured: when a live frame came in, in seconds since 1970 (UTC); ``None`` of others.
    """

    image: Frame
    index: int
    time: float
    source: str = ""
    captured: float | None = None


class RawFrame(NamedTuple):
    """A frame as a reader has it, before it is made RGB: frames that are dropped need no more."""

    seconds: float  # as reported, of any quality
    arrived: float  # time.time() when its data came in
    image: Callable[[], Frame]

    @classmethod
    def ready(cls, seconds: float, arrived: float, image: Frame) -> RawFrame:
        """One whose pixels are RGB already."""
        return cls(seconds, arrived, partial(_same, image))


def _same(image: Frame) -> Frame:
    return image


class Reader(Protocol):
    """What reads one connection or file.

    Attributes:
        fps: nominal frames per second, of any quality.
        frame_count: frames that are announced, or ``None``.
        is_live: frames come at their own pace.
        broken: frames so far that could not be decoded, or not whole.
        problem: why reading ended before the end, or "".
        has_sound: there is sound beside the frames.
    """

    fps: float
    frame_count: int | None
    is_live: bool
    broken: int
    problem: str
    has_sound: bool

    def read(self) -> RawFrame | None:
        """The next frame, or ``None`` at the end. Raises SourceError where nothing more can be read."""

    def close(self) -> None:
        """Let the file or device go. May be called twice."""


class Source(ABC):
    """An open video: iterate once over its frames; a context manager that lets the device or file go.

    Made by `open_source`. Not safe to share between threads.

    Attributes:
        name: what was opened, for messages; a password in a URL is masked.
        slug: the name as a part of a file's name.
        fps: nominal frames per second; 25 when the source doesn't say.
        frame_count: frames that a recording announces; ``None`` for live sources and where unknown. May be wrong.
        width: pixels of the first frame; 0 before there is one.
        height: pixels of the first frame; 0 before there is one.
        is_live: frames come at their own pace and never end by themselves.
        truncated: after the last frame of a recording: it ended well before the number of frames it announces, or
            in the middle of a GIF.
        broken: frames that could not be decoded, or not whole.
        received: frames that came in; those that were dropped are among them.
        dropped: frames of a live source that came while another one was at work, and that nobody sees.
        connections: how often a live source was opened: more than once after it was lost.
        notes: what people may want to know, oldest first, such as that the source was lost; to be taken from the left.
        problem: why the source ended, where that was no regular end.
        has_sound: there is sound beside the frames.
        sound: the file that the sound can be read from, or ``None``.
        start: seconds in that file at which the first frame is shown.
    """

    is_live: bool = False

    def __init__(self, name: str, slug: str) -> None:
        self.name, self.slug = name, slug
        self.fps = DEFAULT_FPS
        self.frame_count: int | None = None
        self.width = self.height = 0
        self.truncated = False
        self.broken = self.received = self.dropped = self.connections = 0
        self.notes: deque[str] = deque(maxlen=100)
        self.problem = ""
        self.has_sound = False
        self.sound: Path | None = None
        self.start = 0.0

    def __iter__(self) -> Self:
        return self

    @abstractmethod
    def __next__(self) -> TimedFrame:
        """The next frame.

        Raises:
            SourceLostError: a live source stopped giving frames, and won't be waited for any longer.
            StopIteration: a recording is over, or the source was closed.
        """

    def poll(self) -> TimedFrame | None:
        """The next frame, or ``None`` where it would have to be waited for. Ends as `next` does."""
        return next(self)

    def subscribe(self, wake: Callable[[], object]) -> None:  # noqa: B027 - nothing to do where nothing is waited for
        """Have `wake` called, from any thread, whenever `poll` may have something new."""

    @abstractmethod
    def close(self) -> None:
        """Let the device or file go; further frames end the iteration. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sane_fps(fps: float) -> float:
    """Frames per second, or the default: streams without a rate report 0 or the 90 kHz of their clock."""
    return fps if 0.0 < fps <= _HIGHEST_FPS else DEFAULT_FPS
