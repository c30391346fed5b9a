"""The groups that a dataset tells ages in: Adience's eight, FairFace's nine."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE
from agegender_train.store.labels import Labels


def age_groups(labels: Labels) -> list[tuple[float, float]]:
    """The age groups that labels are told in, rising; none where they overlap, or where all ages are known."""
    grouped = ~np.isnan(labels.age_low) & ~labels.age_is_exact
    groups = sorted(set(zip(labels.age_low[grouped].tolist(), labels.age_high[grouped].tolist(), strict=True)))
    apart = all(before[1] < after[0] for before, after in pairwise(groups))
    return groups if apart else []


def nearest_group(age: npt.NDArray[Any], groups: Sequence[tuple[float, float]]) -> npt.NDArray[np.int64]:
    """The index of the group in which, or nearest to which, each age is: int64 (n,).

    Args:
        age: (n,), years.
        groups: low and high in years, rising, without overlap; at least one.
    """
    borders = [(before[1] + after[0]) / 2 for before, after in pairwise(groups)]
    return np.asarray(np.searchsorted(np.array(borders), np.minimum(age, MAX_AGE), side="right"), np.int64)
