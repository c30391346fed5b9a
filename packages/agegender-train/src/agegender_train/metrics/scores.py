"""The figures of ages and genders: sums of batches that add up to those of the whole, then figures of the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Prediction
from agegender_train.metrics.errors import age_deviation, age_error, gender_error
from agegender_train.store.labels import GENDER_MISSING, Labels

BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80-89", "90-99", "100+")
"""Age bands of the figures: each by the middle of the label's age interval."""

GENDER_BINS = 15
"""Equal bins of the probability of male, for the expected calibration error (Guo et al., ICML 2017)."""

WITHIN = (1, 3, 5, 10)
_LEAST_LIKELY = 1e-7
_COLUMNS = (
    "faces", "exact", "exact_error", "exact_signed", "exact_squared", *(f"exact_within_{k}" for k in WITHIN),
    "interval", "interval_hit", "aged_distance", "aged_middle", "aged_signed", "aged_squared",
    "gendered", "gender_right", "gender_nll", "male", "male_right",
    *(f"bin{k}_{what}" for k in range(GENDER_BINS) for what in ("faces", "p_male", "male")),
    "distributed", "age_nll",
    "bounded", "bounded_width", "bounded_least", "bounded_most", "bounded_exact", "bounded_hit",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(_COLUMNS)}
Floats = npt.NDArray[np.floating[Any]]
Sums = npt.NDArray[np.float64]


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
    def from_prediction(cls, prediction: Prediction, labels: Labels) -> Scores:
        """The sums of one batch; see `face_rows` for the arguments and the errors."""
        sums = _nothing()
        np.add.at(sums, age_bands(labels), face_rows(prediction, labels))
        return cls(sums)

    @classmethod
    def from_batch(cls, age: Floats | None, p_male: Floats | None, labels: Labels) -> Scores:
        """`from_prediction` of ages and genders alone, without an interval or a distribution."""
        return cls.from_prediction(Prediction(age, None, p_male), labels)

    def merge(self, other: Scores) -> Scores:
        """The sums over the faces of both."""
        return Scores(self.sums + other.sums)

    def compute(self) -> dict[str, Any]:
        """The figures; ``None`` where no face has what a figure needs.

        Returns:
            n, n_age, n_gender: numbers of faces, and of those with an age and with a gender, if these are predicted;
            age_mae, age_bias (prediction less truth), cs1, cs3, cs5, cs10 (share within so many years): of known ages;
            interval_mae: mean distance in years to the age interval, zero inside;
            middle_mae, middle_bias: error in years against the middle of the interval;
            group_accuracy: share of faces with an age group whose predicted age, rounded, is in it;
            age_std: years; root of the mean squared error where each age of an interval is equally likely;
            gender_accuracy; gender_balanced: the mean of the accuracies for men and for women;
            gender_nll: mean negative log-likelihood, nats;
            gender_ece: expected calibration error in 15 equal bins of the probability of male: the mean of |mean
            probability - share of men|, each bin weighted by its faces. Few faces look badly calibrated by chance: n of
            them have an error of about 1 / sqrt(n);
            age_nll: mean negative log of the probability of the label's age or group, nats; where there is a
            distribution;
            coverage90, width90: share of known ages within the predicted interval, and its mean width in years;
            coverage90_least, coverage90_most: of all faces with an age, the shares whose whole age group is within the
            interval, and of whose group a part is: the share of the ages themselves is between them;
            bands: for each age band with faces in it n, and the figures above.
        """
        figures = plain(figures_of(self.sums.sum(axis=0)))
        bands = {name: plain(figures_of(row)) for name, row in zip(BANDS, self.sums, strict=False) if row[0]}
        return {**figures, "bands": bands}


def face_rows(prediction: Prediction, labels: Labels) -> Sums:
    """What each face adds to the sums: float64 (n, columns).

    Args:
        prediction: of n faces; male from a probability of 0.5 on.
        labels: of the same faces; ages and genders that are missing, or that the model has not learned, are left out of
            the figures that need them.

    Raises:
        ValueError: the lengths differ, or a prediction is not finite.
    """
    n = len(labels)
    shapes = {"age": (n,), "p_male": (n,), "age_interval": (n, 2), "age_probs": (n, MAX_AGE + 1)}
    for name, shape in shapes.items():
        column = getattr(prediction, name)
        if column is None:
            continue
        if column.shape != shape:
            raise ValueError(f"{name} must have shape {shape} as the labels, got {column.shape}")
        if not np.isfinite(column).all():
            raise ValueError(f"{name} must be finite, got {column[~np.isfinite(column)][0]}")
    age, p_male, labels = judged(prediction, labels)
    low, high = (column.astype(np.float64) for column in (labels.age_low, labels.age_high))
    aged, exact = ~np.isnan(low), labels.age_is_exact
    error = np.where(aged, age_deviation(labels, age), 0)
    # Whole years have no gap between groups: 9.4 is in 3-9 and 9.6 in 10-19.
    hit = (age >= low - 0.5) & (age < high + 0.5)
    gendered, male, taken_for_male = labels.gender >= 0, labels.gender == 1, p_male >= 0.5
    values = {
        "faces": np.ones(len(labels)),
        "exact": exact,
        "exact_error": np.abs(error) * exact,
        "exact_signed": error * exact,
        "exact_squared": error**2 * exact,
        **{f"exact_within_{k}": exact & (np.abs(error) <= k) for k in WITHIN},
        "interval": aged & ~exact,
        "interval_hit": hit & ~exact,
        "aged_distance": np.where(aged, age_error(labels, age), 0),
        "aged_middle": np.abs(error),
        "aged_signed": error,
        # An age that is even over its interval varies by width^2 / 12 about the middle.
        "aged_squared": np.where(aged, error**2 + (high - low) ** 2 / 12, 0),
        "gendered": gendered,
        "gender_right": gendered & (taken_for_male == male),
        "male": male,
        "male_right": male & taken_for_male,
        "gender_nll": np.where(gendered, -np.log(np.maximum(1 - gender_error(labels, p_male), _LEAST_LIKELY)), 0),
        **_gender_bins(p_male, labels.gender),
        **_interval_sums(prediction.age_interval, low, high),
        **_distribution_sums(prediction.age_probs, low, high),
    }
    return np.column_stack([values[name] for name in _COLUMNS]).astype(np.float64)


def judged(prediction: Prediction, labels: Labels) -> tuple[Sums, Sums, Labels]:
    """Ages and probabilities of male, float64 (n,) each, and the labels that they can be held against.

    What the model has not learned is 0 in the numbers and missing in the labels.
    """
    age, p_male = (
        np.zeros(len(labels)) if column is None else column.astype(np.float64)
        for column in (prediction.age, prediction.p_male)
    )
    if prediction.age is None:
        unknown = np.full_like(labels.age_low, np.nan)
        labels = replace(labels, age_low=unknown, age_high=unknown)
    if prediction.p_male is None:
        labels = replace(labels, gender=np.full_like(labels.gender, GENDER_MISSING))
    return age, p_male, labels


def age_bands(labels: Labels) -> npt.NDArray[np.int64]:
    """The index of each face's band in `BANDS`, int64 (n,); one more for a face without an age."""
    middle = np.nan_to_num(labels.age, nan=0.0)
    return np.where(np.isnan(labels.age_low), len(BANDS), np.minimum(middle // 10, len(BANDS) - 1)).astype(np.int64)


def gender_bins(p_male: Floats) -> npt.NDArray[np.int64]:
    """Which of the `GENDER_BINS` equal bins of the probability of male each face is in: int64 (n,)."""
    return np.clip(np.floor(p_male * GENDER_BINS), 0, GENDER_BINS - 1).astype(np.int64)


def _gender_bins(p_male: npt.NDArray[np.float64], gender: npt.NDArray[np.int8]) -> dict[str, Floats]:
    known, male, bins = gender >= 0, gender == 1, gender_bins(p_male)
    sums: dict[str, Floats] = {}
    for k in range(GENDER_BINS):
        here = known & (bins == k)
        sums |= {f"bin{k}_faces": here * 1.0, f"bin{k}_p_male": here * p_male, f"bin{k}_male": here * (male * 1.0)}
    return sums


def _interval_sums(
    age_interval: Floats | None, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> dict[str, Floats]:
    names = ("bounded", "bounded_width", "bounded_least", "bounded_most", "bounded_exact", "bounded_hit")
    if age_interval is None:
        return {name: np.zeros(len(low)) for name in names}
    start, end = age_interval.T.astype(np.float64)
    # The oldest age that a model knows means that age or more.
    low, high, aged = np.minimum(low, MAX_AGE), np.minimum(high, MAX_AGE), ~np.isnan(low)
    least, exact = (start <= low) & (high <= end), low == high
    values = (aged, (end - start) * aged, least, (start <= high) & (low <= end), exact, least & exact)
    return {name: value * 1.0 for name, value in zip(names, values, strict=True)}


def _distribution_sums(
    probs: Floats | None, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> dict[str, Floats]:
    if probs is None:
        return {name: np.zeros(len(low)) for name in ("distributed", "age_nll")}
    first, last = (np.clip(np.rint(bound), 0, MAX_AGE)[:, None] for bound in (low, high))
    ages = np.arange(MAX_AGE + 1)
    mass = np.where((first <= ages) & (ages <= last), probs, 0).sum(axis=1, dtype=np.float64)
    aged = ~np.isnan(low)
    return {"distributed": aged * 1.0, "age_nll": -np.log(np.maximum(mass, _LEAST_LIKELY)) * aged}


def figures_of(sums: Sums) -> dict[str, Sums]:
    """All figures of `Scores.compute`, of sums float64 (..., columns): each float64 (...), NaN where there is none."""

    def total(name: str) -> Sums:
        return np.asarray(sums[..., INDEX[name]], np.float64)

    def ratio(part: Sums, count: Sums) -> Sums:
        return np.asarray(np.divide(part, count, out=np.full(np.shape(part), np.nan), where=count > 0))

    def mean(name: str, count: Sums) -> Sums:
        return ratio(total(name), count)

    exact, interval, gendered, male = (total(name) for name in ("exact", "interval", "gendered", "male"))
    male_rate = mean("male_right", male)
    female_rate = ratio(total("gender_right") - total("male_right"), gendered - male)
    apart = [np.abs(total(f"bin{k}_p_male") - total(f"bin{k}_male")) for k in range(GENDER_BINS)]
    return {
        "n": total("faces"),
        "n_age": exact + interval,
        "n_gender": gendered,
        "age_mae": mean("exact_error", exact),
        "age_bias": mean("exact_signed", exact),
        **{f"cs{k}": mean(f"exact_within_{k}", exact) for k in WITHIN},
        "interval_mae": mean("aged_distance", exact + interval),
        "middle_mae": mean("aged_middle", exact + interval),
        "middle_bias": mean("aged_signed", exact + interval),
        "group_accuracy": mean("interval_hit", interval),
        "age_std": np.sqrt(mean("aged_squared", exact + interval)),
        "gender_accuracy": mean("gender_right", gendered),
        "gender_balanced": (male_rate + female_rate) / 2,
        "gender_nll": mean("gender_nll", gendered),
        "gender_ece": ratio(np.sum(apart, axis=0), gendered),
        "age_nll": mean("age_nll", total("distributed")),
        "coverage90": mean("bounded_hit", total("bounded_exact")),
        "coverage90_least": mean("bounded_least", total("bounded")),
        "coverage90_most": mean("bounded_most", total("bounded")),
        "width90": mean("bounded_width", total("bounded")),
    }


def plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as plain numbers: counts as int, ``None`` for NaN."""
    return {
        name: int(value) if name.split("_")[0] == "n" else None if np.isnan(value) else float(value)
        for name, value in figures.items()
    }
