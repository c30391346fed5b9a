"""The former place of what is in `agegender_core.sources` now; it goes with the next release."""

from .sources import MediaClock, Source, SourceError, SourceLostError, TimedFrame, WallClock, open_source

__all__ = ["MediaClock", "Source", "SourceError", "SourceLostError", "TimedFrame", "WallClock", "open_source"]
