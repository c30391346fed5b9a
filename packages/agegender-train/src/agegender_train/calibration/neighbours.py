"""How a model errs around each predicted age: neighbourhoods of faces, and how likely each true age is.

A labelled face may have any age of its label's interval; which of them is likely follows from the faces that the model
takes for about the same age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Curve
from agegender_core.weighted import weighted_quantile
from agegender_train.store.labels import Labels

Floats = npt.NDArray[np.float64]

AGES = np.arange(MAX_AGE + 1, dtype=np.float64)
_ROUNDS = 20
_FLOOR = 1e-3
_OLD, _YEARS_LEFT = 50, 15.0

# Closer where faces change faster.
_KNOTS = np.array([0, 2, 4, 6, 9, 12, 16, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100.0])
_LEAST, _MOST, _PART = 50, 300, 12
_APART = 1.0


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Around each of k predicted ages the m faces with the nearest predictions, weighted by their nearness.

    With equal numbers the estimates are as reliable at rarely predicted ages (such as 10) as elsewhere; bins of equal
    width would be empty there, and bins of equal numbers too wide.

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
        """float64 (k,): the quantile `level` of the values of each neighbourhood.

        Args:
            values: float64 (n, a), what each face's value may be.
            chances: float64 (n, a), the probability of each of them, rows sum to 1.
            level: in (0, 1).
        """
        near = zip(self.rows, self.weights, strict=True)
        masses = ((rows, chances[rows] * weights[:, None]) for rows, weights in near)
        return np.array([weighted_quantile(values[rows].ravel(), mass.ravel(), level) for rows, mass in masses])


def possible_ages(labels: Labels) -> npt.NDArray[np.bool_]:
    """bool (n, 101): the whole years that each label's interval holds; older than 100 counts as 100.

    Args:
        labels: n labels, all with an age.
    """
    low, high = (np.clip(np.rint(bound), 0, MAX_AGE)[:, None] for bound in (labels.age_low, labels.age_high))
    return np.asarray((low <= AGES) & (high >= AGES))


def in_open_group(possible: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """bool (n,): the label is an open last group, such as "more than 70"; `possible` as `possible_ages` gives it."""
    start = possible.argmax(axis=1)
    return np.asarray(possible[:, -1] & (start >= _OLD) & (start < MAX_AGE))


def likely_ages(age: Floats, possible: npt.NDArray[np.bool_]) -> tuple[Floats, Curve]:
    """The probability of each possible age, given its prediction, and the spread of the errors.

    An age group says that the age is in it, not where. The true ages of faces with prediction x are assumed to be
    normal around x plus some bias, with some spread, both of which change slowly with x; within the group, the ages
    follow this distribution. Bias and spread come from the groups themselves: expectation-maximisation for regression
    with interval-censored values (Dempster, Laird and Rubin 1977, section 4.1). Known ages need no assumption.

    Not so in an open last group, such as "more than 70". A model that learned from such groups gives about the same age
    for all that are in it, so that their errors aren't normal. Their ages are taken to thin out exponentially, with
    a mean of 15 years above the group's start: about the years that people of 70 have left.

    Args:
        age: float64 (n,), predicted years; n >= 1.
        possible: bool (n, 101), see `possible_ages`.

    Returns:
        float64 (n, 101), rows sum to 1 and are zero where not `possible`; and the root mean square error in years by
        the predicted age.
    """
    near = Neighbourhoods.of(age)
    is_open = in_open_group(possible)
    thinning = np.exp(-np.maximum(AGES - possible.argmax(axis=1)[:, None], 0) / _YEARS_LEFT)
    likely = _within(np.where(is_open[:, None], thinning, 1.0), possible)
    rounds = _ROUNDS if possible.sum() > len(possible) else 1
    for number in range(rounds):
        bias = near.mean(likely @ AGES - age)
        errors = AGES - (age + np.interp(age, near.at, bias))[:, None]
        spread = np.sqrt(near.mean((likely * errors**2).sum(axis=1)))
        if number < rounds - 1:
            densities = np.exp(-0.5 * np.square(errors / np.maximum(np.interp(age, near.at, spread), 0.5)[:, None]))
            likely = _within(np.where(is_open[:, None], thinning, densities), possible)
    squares = (likely * np.square(AGES - age[:, None])).sum(axis=1)
    return likely, Curve(near.at, np.sqrt(near.mean(squares)))


def _within(densities: Floats, possible: npt.NDArray[np.bool_]) -> Floats:
    """The densities within the possible ages, never quite zero, so that outliers keep a weight."""
    inside = (densities + _FLOOR) * possible
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))
