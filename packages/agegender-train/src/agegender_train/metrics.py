"""How good ages and genders are: sums of batches that add up to those of the whole, then figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_train.labels import Labels

BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80-89", "90-99", "100+")
"""Age bands of the figures: each by the middle of the label's age interval."""

_WITHIN = (1, 3, 5, 10)
_COLUMNS = (
    "faces", "exact", "exact_error", "exact_signed", "exact_squared", *(f"exact_within_{k}" for k in _WITHIN),
    "interval", "interval_hit", "aged_distance", "aged_middle", "aged_signed", "aged_squared",
    "gendered", "gender_right",
)  # fmt: skip
_INDEX = {name: number for number, name in enumerate(_COLUMNS)}
Floats = npt.NDArray[np.floating[Any]]


def _nothing() -> npt.NDArray[np.float64]:
    return np.zeros((len(BANDS) + 1, len(_COLUMNS)))


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums over faces, from which all figures follow: `from_batch -> merge -> compute`.

    Merging is an addition, so that any parts in any order give the figures of the whole.

    Attributes:
        sums: float64 (bands + 1, columns); the last row is of faces without an age.
    """

    sums: npt.NDArray[np.float64] = field(default_factory=_nothing)

    @classmethod
    def from_batch(cls, age: Floats, p_male: Floats, labels: Labels) -> Scores:
        """The sums of one batch.

        Args:
            age: (n,), predicted years.
            p_male: (n,), predicted probability of male; male from 0.5 on.
            labels: n labels; missing ages and genders are left out of the figures that need them.

        Raises:
            ValueError: the lengths differ, or a prediction is not finite.
        """
        for name, column in (("age", age), ("p_male", p_male)):
            if column.shape != (len(labels),):
                raise ValueError(f"{name} must have shape ({len(labels)},) as the labels, got {column.shape}")
            if not np.isfinite(column).all():
                raise ValueError(f"{name} must be finite, got {column[~np.isfinite(column)][0]}")
        age = age.astype(np.float64)
        low, high = (column.astype(np.float64) for column in (labels.age_low, labels.age_high))
        aged, exact = ~np.isnan(low), labels.age_is_exact
        error = np.where(aged, age - (low + high) / 2, 0)
        # Whole years have no gap between groups: 9.4 is in 3-9 and 9.6 in 10-19.
        hit = (age >= low - 0.5) & (age < high + 0.5)
        male = labels.gender >= 0
        values = {
            "faces": np.ones(len(labels)),
            "exact": exact,
            "exact_error": np.abs(error) * exact,
            "exact_signed": error * exact,
            "exact_squared": error**2 * exact,
            **{f"exact_within_{k}": exact & (np.abs(error) <= k) for k in _WITHIN},
            "interval": aged & ~exact,
            "interval_hit": hit & ~exact,
            "aged_distance": np.where(aged, np.maximum(np.maximum(low - age, age - high), 0), 0),
            "aged_middle": np.abs(error),
            "aged_signed": error,
            # An age that is even over its interval varies by width^2 / 12 about the middle.
            "aged_squared": np.where(aged, error**2 + (high - low) ** 2 / 12, 0),
            "gendered": male,
            "gender_right": male & ((p_male >= 0.5) == (labels.gender == 1)),
        }
        middle = np.nan_to_num(labels.age, nan=0.0)
        band = np.where(aged, np.minimum(middle // 10, len(BANDS) - 1), len(BANDS)).astype(np.int64)
        sums = _nothing()
        np.add.at(sums, band, np.column_stack([values[name] for name in _COLUMNS]).astype(np.float64))
        return cls(sums)

    def merge(self, other: Scores) -> Scores:
        """The sums over the faces of both."""
        return Scores(self.sums + other.sums)

    def compute(self) -> dict[str, Any]:
        """The figures; ``None`` where no face has what a figure needs.

        Returns:
            n, n_age, n_gender: numbers of faces, and of those with an age and with a gender;
            age_mae, age_bias (prediction less truth), cs1, cs3, cs5, cs10 (share within so many years): of known ages;
            interval_mae: mean distance in years to the age interval, zero inside;
            middle_mae, middle_bias: error in years against the middle of the interval;
            group_accuracy: share of faces with an age group whose predicted age, rounded, is in it;
            age_std: years; root of the mean squared error where each age of an interval is equally likely;
            gender_accuracy; bands: for each age band with faces in it n, and the figures above.
        """
        figures = _figures(self.sums.sum(axis=0))
        bands = {name: _figures(row) for name, row in zip(BANDS, self.sums, strict=False) if row[0]}
        return {**figures, "bands": bands}


def _figures(sums: npt.NDArray[np.float64]) -> dict[str, Any]:
    def total(name: str) -> float:
        return float(sums[_INDEX[name]])

    def mean(name: str, count: float) -> float | None:
        return total(name) / count if count else None

    exact, interval, gendered = total("exact"), total("interval"), total("gendered")
    variance = mean("aged_squared", exact + interval)
    return {
        "n": int(total("faces")),
        "n_age": int(exact + interval),
        "n_gender": int(gendered),
        "age_mae": mean("exact_error", exact),
        "age_bias": mean("exact_signed", exact),
        **{f"cs{k}": mean(f"exact_within_{k}", exact) for k in _WITHIN},
        "interval_mae": mean("aged_distance", exact + interval),
        "middle_mae": mean("aged_middle", exact + interval),
        "middle_bias": mean("aged_signed", exact + interval),
        "group_accuracy": mean("interval_hit", interval),
        "age_std": None if variance is None else variance**0.5,
        "gender_accuracy": mean("gender_right", gendered),
    }
