"""Averages and quantiles of faces that a model takes for about the same age, and curves through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agegender_core.weighted import weighted_quantile

Floats = npt.NDArray[np.float64]

# Closer where faces change faster.
_KNOTS = np.array([0, 2, 4, 6, 9, 12, 16, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100.0])
_LEAST, _MOST, _PART = 50, 300, 12
_APART = 1.0


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Around each of k predicted ages the m faces with the nearest predictions, the nearer the heavier.

    Equal numbers keep the sparse ages (few are taken for 10) as sure as the others, where bins of equal width would be
    empty there, and bins of equal numbers too wide.

    Attributes:
        at: float64 (k,), years, rising: the mean prediction of each neighbourhood.
        rows: int64 (k, m), the faces.
        weights: float64 (k, m), of the faces, sum 1 in each row.
    """

    at: Floats
    rows: npt.NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(cls, age: Floats) -> Neighbourhoods:
        """The neighbourhoods of predicted ages, float64 (n,) with n >= 1: a twelfth of the faces each, 50 to 300."""
        size = min(len(age), max(_LEAST, min(_MOST, len(age) // _PART)))
        low, high = np.quantile(age, [0.01, 0.99])
        knots = _KNOTS[(low <= _KNOTS) & (high >= _KNOTS)]
        at: list[float] = []
        rows, weights = [], []
        for knot in knots if len(knots) else [np.median(age)]:
            distance = np.abs(age - knot)
            nearest = np.argsort(distance, kind="stable")[:size]
            widest = max(distance[nearest[-1]], 1e-9)
            weight = 1 - 0.999 * distance[nearest] / widest
            weight /= weight.sum()
            here = float(age[nearest] @ weight)
            if not at or here >= at[-1] + _APART:
                at.append(here)
                rows.append(nearest)
                weights.append(weight)
        return cls(np.array(at), np.array(rows), np.array(weights))

    def mean(self, values: Floats) -> Floats:
        """float64 (k,): the weighted mean of `values`, float64 (n,), in each neighbourhood."""
        return np.asarray((self.weights * values[self.rows]).sum(axis=1))

    def quantile(self, values: Floats, chances: Floats, level: float) -> Floats:
        """float64 (k,): what the part `level` of the values of each neighbourhood does not exceed.

        Args:
            values: float64 (n, a), what each face's value may be.
            chances: float64 (n, a), the probability of each of them, rows sum to 1.
            level: in (0, 1).
        """
        near = zip(self.rows, self.weights, strict=True)
        masses = ((rows, chances[rows] * weights[:, None]) for rows, weights in near)
        return np.array([weighted_quantile(values[rows].ravel(), mass.ravel(), level) for rows, mass in masses])
