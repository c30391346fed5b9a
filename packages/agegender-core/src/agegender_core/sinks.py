"""Where results go: JSON lines, and frames with the faces drawn in. All sinks are context managers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from .draw import draw_faces
from .faces import Faces, Frame
from .frame_sinks import VIDEO_CODECS, FrameSink, SinkError, VideoSink, WindowSink
from .records import frame_record

if TYPE_CHECKING:
    from .pipeline import FrameResult

__all__ = [
    "VIDEO_CODECS",
    "DrawnSink",
    "FrameSink",
    "JsonlSink",
    "NullSink",
    "ResultSink",
    "SinkError",
    "VideoSink",
    "WindowSink",
]

Draw: TypeAlias = Callable[[Frame, Faces], Frame]


class ResultSink(Protocol):
    """Takes the results of a pipeline frame by frame."""

    @property
    def done(self) -> bool:
        """Whether the viewer has had enough."""

    def write(self, result: FrameResult) -> None:
        """Take the result of one frame."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *exception: Any) -> None:
        """Close it."""


class NullSink:
    """Stands for a sink that was not asked for: takes results or frames and does nothing with them."""

    done = False

    def write(self, *_: object) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class DrawnSink:
    """Draws the faces into each frame, once, and hands the drawn frame to `sinks`, which it closes.

    Args:
        sinks: any number of them; with none nothing is drawn.
        draw: makes the drawn frame from a frame and its faces.
    """

    def __init__(self, sinks: Sequence[FrameSink], draw: Draw = draw_faces) -> None:
        self._sinks = tuple(sinks)
        self._draw = draw

    @property
    def done(self) -> bool:
        """Whether one of the sinks is done."""
        return any(sink.done for sink in self._sinks)

    def write(self, result: FrameResult) -> None:
        """Draw a frame and hand it on."""
        if self._sinks:
            drawn = self._draw(result.image, result.faces)
            for sink in self._sinks:
                sink.write(drawn, result.time)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.push(sink)


class JsonlSink:
    """Writes one JSON object per frame and line: see `frame_record`.

    Each line is written out at once and straight into the file, so that another program can follow it, and so that the
    file is valid up to its last line whenever the run ends. A file of that name from an earlier run is emptied first.

    Args:
        path: a file or a named pipe, or "-" for stdout.

    Attributes:
        done: whoever read from the pipe or from stdout has closed it; what is written from then on is dropped.

    Raises:
        SinkError: the file can't be written; the message names it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.done = False
        self._stdout = str(path) == "-"
        try:
            self._file = sys.stdout if self._stdout else open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
        except OSError as error:
            raise SinkError(f"{path} can't be written: {error.strerror}") from None

    def write(self, result: FrameResult) -> None:
        """Write the line of one frame. Raises SinkError where that fails, as on a full disk."""
        if self.done:
            return
        try:
            self._file.write(json.dumps(frame_record(result), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()
        except BrokenPipeError:
            # The reader (such as `head`) has had enough.
            self.done = True
            self._discard_unwritten()
        except OSError as error:
            raise SinkError(f"{self.path} can't be written: {error.strerror}") from None

    def _discard_unwritten(self) -> None:
        if self._stdout:
            # Python flushes stdout once more when it ends, and would complain again.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._file.fileno())
        else:
            self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        if not self._stdout:
            # Every line was flushed: what still can't be written is a line for which `write` has raised.
            with suppress(OSError):
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
