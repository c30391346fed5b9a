"""Sources of frames: recordings, folders of pictures, cameras, network streams, standard input.

Each is an iterator of frames that carry their time; `open_source` finds out which one is meant.
"""

from .clocks import MediaClock, WallClock
from .frames import Source, SourceError, SourceLostError, TimedFrame
from .live import LiveSource
from .opening import open_source
from .recording import Recording
from .turns import take_turns

__all__ = [
    "LiveSource",
    "MediaClock",
    "Recording",
    "Source",
    "SourceError",
    "SourceLostError",
    "TimedFrame",
    "WallClock",
    "open_source",
    "take_turns",
]
