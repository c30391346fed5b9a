"""What every sink has, how it fails, and the sink that does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from agegender_core.faces import Frame

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult


class SinkError(OSError):
    """A sink that can't be opened or written; the message names it."""


def partial_path(path: str | Path) -> Path:
    """The name under which a video is written until it is complete."""
    path = Path(path)
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class FrameSink(Protocol):
    """Takes frames one by one."""

    @property
    def done(self) -> bool:
        """Whether the viewer has had enough."""

    def write(self, frame: Frame, time: float) -> None:
        """Take a frame: uint8 RGB (H, W, 3), and its time in seconds."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *exception: Any) -> None:
        """Close it."""


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
