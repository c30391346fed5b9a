"""Which build of the C++ that is worth building twice runs on this CPU."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from . import _core


@cache
def native() -> Any:
    """`_core_x86_64_v3`, for CPUs with AVX2 and FMA, where there is one and the CPU has them; else `_core`.

    ``AGEGENDER_SIMD=baseline`` in the environment asks for the build that runs everywhere.
    """
    if os.environ.get("AGEGENDER_SIMD") != "baseline" and _core.cpu_supports_x86_64_v3():
        try:
            from . import _core_x86_64_v3
        except ImportError:
            pass
        else:
            return _core_x86_64_v3
    return _core


def is_simd() -> bool:
    """Whether `native` is the build for CPUs with AVX2 and FMA."""
    return native() is not _core
