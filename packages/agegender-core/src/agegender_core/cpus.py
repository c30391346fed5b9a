"""The cores of this machine."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """How many cores this process may use, at least 1: fewer than there are under ``taskset``, or in a container
    that is tied to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
