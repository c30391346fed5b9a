"""Frames with the faces drawn in, for the sinks that take frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from agegender_core.draw import draw_faces
from agegender_core.faces import Faces, Frame

from .base import FrameSink

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

Draw: TypeAlias = Callable[[Frame, Faces], Frame]


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
