"""Several sources at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from .frames import Source, SourceError, TimedFrame

_LOOK = 0.25


def take_turns(sources: Sequence[Source], idle: Callable[[], object] = lambda: None) -> Iterator[dict[int, TimedFrame]]:
    """Rounds of frames, at most one of each source: what `Pipeline.run_many` takes.

    A recording gives a frame each round, a live source the newest one if there is one. A source that fails has that in
    its `problem`, and the others go on; the rounds end with the last source.

    Args:
        sources: open ones; they are not closed.
        idle: called while nothing comes, four times a second or more often.

    Returns:
        An iterator of frames by the number of their source.
    """
    wake = threading.Event()
    for source in sources:
        source.subscribe(wake.set)
    left = dict(enumerate(sources))
    while left:
        wake.clear()
        frames: dict[int, TimedFrame] = {}
        for number, source in list(left.items()):
            try:
                frame = source.poll()
            except StopIteration:
                del left[number]
                continue
            except SourceError as error:
                source.problem = str(error)
                del left[number]
                continue
            if frame is not None:
                frames[number] = frame
        if frames:
            yield frames
        elif left:
            wake.wait(_LOOK)
            idle()
