"""How far a prediction is from its label: in years, in groups of ages, and in gender."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE
from agegender_train.store.labels import GENDER_MISSING, Labels

Numbers = npt.NDArray[Any]
Errors = npt.NDArray[np.float64]


def interval_distance(age: Numbers, low: Numbers, high: Numbers) -> Errors:
    """Years from each age to its interval [low, high]: float64, 0 inside, NaN where a bound is NaN."""
    age, low, high = (column.astype(np.float64) for column in (age, low, high))
    return np.asarray(np.maximum(np.maximum(low - age, age - high), 0))


def age_error(labels: Labels, age: Numbers) -> Errors:
    """Years from each predicted age to its label's interval: float64 (n,), 0 inside, NaN without an age.

    Of a known age this is the absolute error.
    """
    return interval_distance(age, labels.age_low, labels.age_high)


def age_deviation(labels: Labels, age: Numbers) -> Errors:
    """Predicted less true age in years: float64 (n,), NaN without an age; of an age group its middle is taken."""
    return np.asarray(age.astype(np.float64) - (labels.age_low.astype(np.float64) + labels.age_high) / 2)


def gender_error(labels: Labels, p_male: Numbers) -> Errors:
    """The probability that a model gives to the other gender: float64 (n,) in [0, 1], NaN without a gender."""
    known = labels.gender != GENDER_MISSING
    return np.where(known, np.abs(p_male.astype(np.float64) - labels.gender), np.nan)


def age_groups(labels: Labels) -> list[tuple[float, float]]:
    """The age groups that occur in labels (Adience has eight, FairFace nine), rising.

    Empty where they overlap, or where all ages are known.
    """
    grouped = ~np.isnan(labels.age_low) & ~labels.age_is_exact
    groups = sorted(set(zip(labels.age_low[grouped].tolist(), labels.age_high[grouped].tolist(), strict=True)))
    apart = all(before[1] < after[0] for before, after in pairwise(groups))
    return groups if apart else []


def nearest_group(age: Numbers, groups: Sequence[tuple[float, float]]) -> npt.NDArray[np.int64]:
    """The index of the group in which, or nearest to which, each age is: int64 (n,).

    Args:
        age: (n,), years.
        groups: low and high in years, rising, without overlap; at least one.
    """
    borders = [(before[1] + after[0]) / 2 for before, after in pairwise(groups)]
    return np.asarray(np.searchsorted(np.array(borders), np.minimum(age, MAX_AGE), side="right"), np.int64)
