"""Long runs in files of a bounded length."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar


class _Sink(Protocol):
    @property
    def done(self) -> bool: ...

    def write(self, *values: Any) -> None: ...

    def __exit__(self, *exception: Any) -> None: ...


S = TypeVar("S", bound=_Sink)


class SegmentedSink(Generic[S]):
    """Writes into one file after the other, each for some seconds of the video.

    Args:
        make: opens the sink of one file.
        path: where ``-0001`` and so on, or the time (``-20261126T131500Z``), is put before the suffix.
        seconds: of each file, by the times of the frames; > 0.
        stamped: name files by the time (UTC) at which they were begun, so that a later run leaves those of an earlier
            one alone: for live sources.

    Raises:
        ValueError: `seconds` is not above 0.
    """

    def __init__(self, make: Callable[[Path], S], path: str | Path, seconds: float, stamped: bool = False) -> None:
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0, got {seconds}")
        self._make, self._path, self._seconds, self._stamped = make, Path(path), seconds, stamped
        self.paths: list[Path] = []
        self._begun: float | None = None
        self._sink = self._next()

    def _next(self) -> S:
        label = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}" if self._stamped else f"{len(self.paths) + 1:04d}"
        path = self._path.with_name(f"{self._path.stem}-{label}{self._path.suffix}")
        if path in self.paths:  # two within a second
            path = path.with_name(f"{path.stem}-{len(self.paths) + 1}{path.suffix}")
        sink = self._make(path)
        self.paths.append(path)
        return sink

    @property
    def done(self) -> bool:
        """Whether the sink of the present file is done."""
        return self._sink.done

    @property
    def note(self) -> str:
        """That of the present file's sink, or ""."""
        return str(getattr(self._sink, "note", ""))

    def write(self, *values: Any) -> None:
        """Hand on a frame and its time, or a result; into the next file where the time has come."""
        time = float(values[1] if len(values) > 1 else values[0].time)
        if self._begun is None:
            self._begun = time
        elif time - self._begun >= self._seconds:
            self._sink.__exit__(None, None, None)
            self._sink, self._begun = self._next(), time
        self._sink.write(*values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._sink.__exit__(*exception)
