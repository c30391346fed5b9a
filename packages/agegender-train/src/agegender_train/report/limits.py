"""Limits on figures, such as a largest MAE, that let a CI run fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AT_MOST = frozenset(
    ["age_mae", "age_median", "middle_mae", "interval_mae", "gender_ece", "gender_nll", "age_nll", "age_std", "width90"]
)
AT_LEAST = frozenset(
    [
        "cs1",
        "cs3",
        "cs5",
        "cs10",
        "group_accuracy",
        "group_exact",
        "group_one_off",
        "gender_accuracy",
        "gender_balanced",
        "gender_auc",
        "coverage90",
    ]
)


@dataclass(frozen=True)
class Limit:
    """The bound on one figure.

    Attributes:
        figure: its name, one of `AT_MOST` (errors) or of `AT_LEAST` (shares of what is right).
        value: the largest, or the smallest, value that is allowed.
    """

    figure: str
    value: float

    def is_kept(self, found: float | None) -> bool:
        """Whether a figure is within the limit; an unknown figure is not."""
        if found is None:
            return False
        return found <= self.value if self.figure in AT_MOST else found >= self.value


def parse_limits(text: str) -> list[Limit]:
    """The limits of a text such as ``age_mae=6.0,gender_accuracy=0.93``.

    Raises:
        ValueError: the text has another form, or there is no such figure.
    """
    limits = []
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in AT_MOST | AT_LEAST:
            raise ValueError(f"{name!r} is no figure to limit; there are {', '.join(sorted(AT_MOST | AT_LEAST))}")
        try:
            limits.append(Limit(name, float(value)))
        except ValueError:
            raise ValueError(f"a limit must look like {name}=NUMBER, got {part.strip()!r}") from None
    return limits


def broken_limits(results: Sequence[Mapping[str, Any]], limits: Sequence[Limit]) -> list[str]:
    """A sentence for each result that breaks a limit.

    Args:
        results: as in a report's metrics.json.
        limits: applied to each of them.
    """
    broken = []
    for result in results:
        for limit in limits:
            found = result.get(limit.figure)
            if not limit.is_kept(found):
                side = "at most" if limit.figure in AT_MOST else "at least"
                there = "is not known" if found is None else f"is {found:.4g}"
                who = f"{result['model']} on {result['test_set']}"
                broken.append(f"{who}: {limit.figure} {there}, must be {side} {limit.value:g}")
    return broken
