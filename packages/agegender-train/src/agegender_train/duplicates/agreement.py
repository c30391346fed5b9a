"""What labels of one and the same face say together: whether they agree, and which of them stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CONFLICT = "conflicting labels"


class Label(NamedTuple):
    """Age interval in years and gender (1 male, 0 female); ``None`` for what isn't told."""

    age_low: float | None
    age_high: float | None
    gender: int | None

    @property
    def says(self) -> tuple[bool, float]:
        """The larger the more a label tells: a gender first, then a narrow age interval."""
        width = math.inf if self.age_low is None or self.age_high is None else self.age_high - self.age_low
        return self.gender is not None, -width


def labels_agree(labels: Sequence[Label]) -> bool:
    """Whether one age lies in all the intervals and the genders are the same.

    20-29 and 24 agree, 20-29 and 30-39 don't. What a label doesn't tell contradicts nothing. Ancestry isn't compared:
    it is no part of what the networks learn.
    """
    ages = [(label.age_low, label.age_high) for label in labels]
    youngest = max((low for low, _ in ages if low is not None), default=-math.inf)
    oldest = min((high for _, high in ages if high is not None), default=math.inf)
    return youngest <= oldest and len({label.gender for label in labels} - {None}) <= 1


def sort_out(labels: Sequence[Label]) -> dict[int, tuple[int, bool]]:
    """Which labels of one face are left out: all when they disagree, else all but the one that says most.

    Of those that say equally much the first stays.

    Returns:
        By the place of each label that is left out: the place of another one, and whether they disagree.
    """
    if len(labels) < 2:
        return {}
    if not labels_agree(labels):
        return {place: (0 if place else 1, True) for place in range(len(labels))}
    best = max(range(len(labels)), key=lambda place: (labels[place].says, -place))
    return {place: (best, False) for place in range(len(labels)) if place != best}
