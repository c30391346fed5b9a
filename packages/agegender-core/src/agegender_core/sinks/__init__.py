"""Where results go: videos, windows, and files of rows. All sinks are context managers.

A *frame sink* takes drawn frames (`VideoSink`, `WindowSink`), a *result sink* what a pipeline found (`JsonlSink`, ...);
`DrawnSink` is the one that feeds the other.
"""

from .base import FrameSink, NullSink, ResultSink, SinkError, partial_path
from .drawn import DrawnSink
from .parquet import ParquetSink
from .rows import CsvSink, JsonlSink, MotSink
from .segments import SegmentedSink
from .summary import SummarySink
from .tables import Table, open_table
from .video import VIDEO_CODECS, VideoSink
from .window import WindowSink

__all__ = [
    "VIDEO_CODECS",
    "CsvSink",
    "DrawnSink",
    "FrameSink",
    "JsonlSink",
    "MotSink",
    "NullSink",
    "ParquetSink",
    "ResultSink",
    "SegmentedSink",
    "SinkError",
    "SummarySink",
    "Table",
    "VideoSink",
    "WindowSink",
    "open_table",
    "partial_path",
]
