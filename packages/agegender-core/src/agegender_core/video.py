"""The former place of what is in `agegender_core.sources` now; it goes with the next release."""

import warnings

from .sources import MediaClock, Source, SourceError, SourceLostError, TimedFrame, WallClock, open_source

__all__ = ["MediaClock", "Source", "SourceError", "SourceLostError", "TimedFrame", "WallClock", "open_source"]

warnings.warn("agegender_core.video is now called agegender_core.sources", DeprecationWarning, stacklevel=2)
