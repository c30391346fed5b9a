"""The sink that counts people at lines and in zones, and writes what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from agegender_core.faces import Frame

from .counter import Counter, CountEvent
from .drawn import draw_regions
from .events import event_row
from .figures import count_records
from .minutes import MinuteCounts
from .regions import Regions

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult
    from agegender_core.sinks import Table


class CountingSink:
    """Counts the people of one source.

    The tables may be those of other sources, too, and stay open: whoever opened them closes them.

    Args:
        source: the names by which the regions may call it; the first one goes into the rows.
        regions: what to count at.
        minutes: takes the rows of `MinuteCounts`; ``None``: nobody does.
        events: take the rows of `event_row`.

    Attributes:
        counter: what is counted so far; ``None`` before the first frame.
    """

    def __init__(
        self, source: Sequence[str], regions: Regions, minutes: Table | None = None, events: Sequence[Table] = ()
    ) -> None:
        self.counter: Counter | None = None
        self._source, self._bands = source[0], regions.bands
        self._lines, self._zones = regions.for_source(*source)
        self._size, self._shot = (0, 0), 0
        self._time = 0.0
        self._captured: float | None = None
        self._counts = MinuteCounts(self._source, self._lines, self._zones, self._bands)
        self._minutes, self._events = minutes, tuple(events)

    @property
    def done(self) -> bool:
        """Whether nobody reads a table any more."""
        return any(table is not None and table.done for table in (self._minutes, *self._events))

    def write(self, result: FrameResult) -> None:
        """Count in one frame. Raises SinkError where a row can't be written."""
        height, width = result.image.shape[:2]
        if self.counter is None:
            self.counter = Counter(self._lines, self._zones, (width, height))
        elif (width, height) != self._size:
            self.counter.resize((width, height))
        events = []
        if result.shot != self._shot:
            # Tracks end at a cut, and so do visits: whoever comes after it is somebody else.
            events += self.counter.finish(self._time, self._captured)
        self._size, self._shot = (width, height), result.shot
        self._time, self._captured = result.time, result.captured
        events += self.counter.update(result.faces, result.captured)
        self._tell(events)
        rows = self._counts.add(events, result.time, result.captured)
        if self._minutes is not None and rows:
            self._minutes.write_rows(rows)

    def records(self) -> list[dict[str, Any]]:
        """What is counted so far: see `count_records`; empty before the first frame."""
        return [] if self.counter is None else count_records(self.counter)

    def draw(self, frame: Frame) -> Frame:
        """The frame with the lines, zones and counts drawn in."""
        return frame if self.counter is None else draw_regions(frame, self.counter)

    def close(self) -> None:
        """Count those who are still there as gone, and write the last minute. Raises SinkError where that fails."""
        events = [] if self.counter is None else self.counter.finish(self._time, self._captured)
        self._tell(events)
        rows = self._counts.finish(events)
        if self._minutes is not None and rows:
            self._minutes.write_rows(rows)

    def _tell(self, events: Sequence[CountEvent]) -> None:
        if events and self._events:
            rows = [event_row(self._source, event, self._bands) for event in events]
            for table in self._events:
                table.write_rows(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
