"""Counting the people of a video: who crosses a line, who is in a zone and for how long, by gender and age band."""

from .bands import DEFAULT_BANDS, AgeBands
from .counter import Counter, CountEvent, EventKind, Totals
from .counts_file import read_counts
from .drawn import draw_regions
from .figures import count_records, prometheus_counts
from .minutes import COUNT_COLUMNS, MinuteCounts
from .people import Person, PersonLinker
from .regions import Line, Regions, Zone
from .regions_file import read_regions, regions_toml

__all__ = [
    "COUNT_COLUMNS",
    "DEFAULT_BANDS",
    "AgeBands",
    "CountEvent",
    "Counter",
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
    "prometheus_counts",
    "read_counts",
    "read_regions",
    "regions_toml",
]
