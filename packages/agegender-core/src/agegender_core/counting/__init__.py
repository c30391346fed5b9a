"""Counting the people of a video: who crosses a line, who is in a zone and for how long, by gender and age band."""

from .bands import DEFAULT_BANDS, AgeBands
from .counter import Counter, CountEvent, EventKind, Totals
from .counts_file import read_counts
from .drawn import draw_regions
from .events import EVENT_COLUMNS, event_row
from .figures import count_records, prometheus_counts
from .minutes import COUNT_COLUMNS, MinuteCounts
from .people import Person, PersonLinker
from .regions import Line, Regions, Zone
from .regions_file import read_regions, regions_toml
from .sink import CountingSink

__all__ = [
    "COUNT_COLUMNS",
    "DEFAULT_BANDS",
    "EVENT_COLUMNS",
    "AgeBands",
    "CountEvent",
    "Counter",
    "CountingSink",
    "EventKind",
    "Line",
    "MinuteCounts",
    "Person",
    "PersonLinker",
    "Regions",
    "Totals",
    "Zone",
    "count_records",
    "draw_regions",
    "event_row",
    "prometheus_counts",
    "read_counts",
    "read_regions",
    "regions_toml",
]
