"""How long calls take: medians with their spread, since other work on the machine shifts a mean."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], object]

# A sample has as many calls as take so many seconds: reading the clock takes a twentieth of a microsecond.
_SAMPLE = 10e-6
_LEAST = 3


def time_calls(call: Call, seconds: float, items: int = 1) -> dict[str, Any]:
    """How long a call takes, after one to warm up.

    Args:
        call: what is timed.
        seconds: time to spend; three samples are taken in any case.
        items: how many things one call processes, such as the faces of a batch.

    Returns:
        A mapping with median_ms, p10_ms and p90_ms (a tenth of the samples is faster, a tenth slower), min_ms, runs
        (calls), cpu_ms (mean time of all the process's threads on a core, in milliseconds a call), items, and
        per_second: items a second, at the median.
    """
    number = _calls_of_a_sample(call)
    samples: list[float] = []
    begin, cpu = time.perf_counter(), time.process_time()
    while len(samples) < _LEAST or time.perf_counter() < begin + seconds:
        samples.append(_sample(call, number))
    cpu = time.process_time() - cpu
    runs = number * len(samples)
    figures = figures_of(samples)
    return {
        **figures,
        "runs": runs,
        "cpu_ms": cpu * 1e3 / runs,
        "items": items,
        "per_second": 1e3 * items / figures["median_ms"],
    }


def time_by_turns(ours: Call, theirs: Call, seconds: float) -> dict[str, Any]:
    """Two calls that take turns, so that other work on the machine slows both.

    Args:
        ours: a call.
        theirs: another.
        seconds: time to spend on each; three samples of each are taken in any case.

    Returns:
        A mapping with "ours" and "theirs" (median_ms, p10_ms, p90_ms, min_ms, runs), and "ratio": median, p10 and p90
        of their time by ours, of each pair of samples.
    """
    numbers = [_calls_of_a_sample(call) for call in (ours, theirs)]
    samples: list[list[float]] = []
    end = time.perf_counter() + 2 * seconds
    while len(samples) < _LEAST or time.perf_counter() < end:
        samples.append([_sample(call, number) for call, number in zip((ours, theirs), numbers, strict=True)])
    first, second = np.array(samples).T
    low, median, high = np.quantile(second / first, (0.1, 0.5, 0.9)).tolist()
    return {
        "ours": {**figures_of(first), "runs": numbers[0] * len(samples)},
        "theirs": {**figures_of(second), "runs": numbers[1] * len(samples)},
        "ratio": {"median": median, "p10": low, "p90": high},
    }


def figures_of(samples: Any) -> dict[str, float]:
    """Median, spread and minimum of samples in milliseconds."""
    low, median, high = np.quantile(samples, (0.1, 0.5, 0.9)).tolist()
    return {"median_ms": median, "p10_ms": low, "p90_ms": high, "min_ms": float(np.min(samples))}


def _calls_of_a_sample(call: Call) -> int:
    call()
    start = time.perf_counter()
    call()
    return max(1, math.ceil(_SAMPLE / max(time.perf_counter() - start, 1e-9)))


def _sample(call: Call, number: int) -> float:
    """Milliseconds a call."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) * 1e3 / number
