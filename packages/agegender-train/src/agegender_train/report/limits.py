"""Limits on figures, such as a largest MAE, that let a CI run fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agegender_core.spelling import with_near_names

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

    def is_kept(self, found: float) -> bool:
        """Whether a figure is within the limit."""
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
            names = sorted(AT_MOST | AT_LEAST)
            unknown = ValueError(f"{name!r} is no figure to limit; there are {', '.join(names)}")
            raise with_near_names(unknown, name, names)
        try:
            limits.append(Limit(name, float(value)))
        except ValueError:
            raise ValueError(f"a limit must look like {name}=NUMBER, got {part.strip()!r}") from None
    return limits


def broken_limits(results: Sequence[Mapping[str, Any]], limits: Sequence[Limit]) -> list[str]:
    """A sentence for each result that breaks a limit.

    Args:
        results: as in a report's metrics.json.
        limits: applied to each of them that has the figure; see `unmeasured_limits` for the others.
    """
    broken = []
    for result in results:
        for limit in limits:
            found = result.get(limit.figure)
            if found is not None and not limit.is_kept(found):
                side = "at most" if limit.figure in AT_MOST else "at least"
                who = f"{result['model']} on {result['test_set']}"
                broken.append(f"{who}: {limit.figure} is {found:.4g}, must be {side} {limit.value:g}")
    return broken


def unmeasured_limits(results: Sequence[Mapping[str, Any]], limits: Sequence[Limit]) -> tuple[list[str], list[str]]:
    """Sentences about limits that can't be applied: the test set has no labels for the figure, or the model no head.

    Args:
        results: as in a report's metrics.json.
        limits: as for `broken_limits`.

    Returns:
        A sentence for each result that is left out, and one for each model that has a limited figure on no test set.
    """
    left_out, useless = [], []
    for limit in limits:
        for model in dict.fromkeys(result["model"] for result in results):
            own = [result for result in results if result["model"] == model]
            without = [result["test_set"] for result in own if result.get(limit.figure) is None]
            if len(without) == len(own):
                useless.append(f"{model} has no {limit.figure} on {' or '.join(without)}")
            else:
                left_out += [f"{model} on {test_set}: no {limit.figure}, left out" for test_set in without]
    return left_out, useless
