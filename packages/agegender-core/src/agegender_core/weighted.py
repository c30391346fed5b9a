"""Quantiles of values that count by their weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def weighted_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """The least of `values` up to which lies at least the part `level` of the weight; the greatest for 1 and more.

    Args:
        values: float64 (n,).
        weights: float64 (n,), >= 0, of which one at least is above 0; values of weight 0 don't count.
        level: above 0.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0]), 0.5)
    2.0
    """
    there = weights > 0
    values, weights = values[there], weights[there]
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    # Rounding in the sum must not push a level that is met exactly to the next value.
    place = np.searchsorted(total, level * total[-1] * (1 - 1e-12))
    return float(values[order][min(int(place), len(values) - 1)])
