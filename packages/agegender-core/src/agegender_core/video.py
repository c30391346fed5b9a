"""The former place of what is in `agegender_core.sources` now; it goes with the next release."""

import warnings

from . import sources

_MOVED = ("MediaClock", "Source", "SourceError", "SourceLostError", "TimedFrame", "WallClock", "open_source")


def __getattr__(name: str) -> object:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("agegender_core.video is now called agegender_core.sources", DeprecationWarning, stacklevel=2)
    return getattr(sources, name)
