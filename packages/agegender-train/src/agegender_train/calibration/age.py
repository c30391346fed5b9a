"""What a calibration fits to ages: a correction that never falls, kept only where it clearly helps, and an interval.

The interval holds the true age as often as it says: conformal prediction on a model's own quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from agegender_core.decoding import MAX_AGE, Curve
from agegender_core.weighted import weighted_quantile
from agegender_train.calibration.neighbours import AGES, Floats, Neighbourhoods
from agegender_train.metrics.errors import interval_distance

Mask = npt.NDArray[np.bool_]

_KNOTS = np.array([0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 100.0])
_PRIOR_FACES = 20
_FOLDS = 5
_CLEARLY, _LEAST_GAIN = 2.0, 0.01
_HALF = 0.0049


def fit_correction(network: Floats, likely: Floats) -> Curve:
    """The curve of least squared error that never falls; it stays near the identity where there are few faces.

    Between each two knots, 20 faces that confirm the network are added to the real ones.

    Args:
        network: the network's own ages: float64 (n,), years, or (n, 101), probabilities.
        likely: float64 (n, 101), probability of each true age.
    """
    weights = _hats(network) if network.ndim == 1 else network @ _hats(AGES)
    # The unknowns are the rises from knot to knot: none may be negative.
    rises = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    prior = np.sqrt(_PRIOR_FACES)
    identity = np.diff(_KNOTS, prepend=0.0)
    rise, _ = nnls(
        np.concatenate([rises, prior * np.eye(len(_KNOTS))]), np.concatenate([likely @ AGES, prior * identity])
    )
    return Curve(_KNOTS, np.minimum(np.cumsum(rise), MAX_AGE))


def _hats(age: Floats) -> Floats:
    """float64 (n, knots): the weight of each knot in the linear interpolation at each age."""
    return np.array([np.interp(age, _KNOTS, unit) for unit in np.eye(len(_KNOTS))]).T


def clearly_helps(network: Floats, likely: Floats, possible: npt.NDArray[np.bool_]) -> bool:
    """Whether the correction significantly reduces the error of faces that it wasn't fitted to.

    By five-fold cross-validation: the mean gain must be 2 standard errors and 1 % of the error.

    Args:
        network: as in `fit_correction`.
        likely: as in `fit_correction`.
        possible: bool (n, 101), the ages of each face's interval.
    """
    fold = np.random.default_rng(0).permutation(len(network)) % _FOLDS
    own = network if network.ndim == 1 else network @ AGES
    corrected = np.empty_like(own)
    for number in range(_FOLDS):
        curve = fit_correction(network[fold != number], likely[fold != number])
        kept = network[fold == number]
        corrected[fold == number] = curve(kept) if kept.ndim == 1 else kept @ curve(AGES)
    before, after = _distance(own, possible), _distance(corrected, possible)
    gain = before - after
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > max(_CLEARLY * error, _LEAST_GAIN * before.mean()))


def _distance(age: Floats, possible: Mask) -> Floats:
    return interval_distance(age, possible.argmax(axis=1), MAX_AGE - possible[:, ::-1].argmax(axis=1))


class Bounds(NamedTuple):
    """A model's predictions for n faces before its interval is calibrated: float64 (n,) each, years.

    Attributes:
        age: the predicted age.
        start: the quantile (1 - level) / 2, or the age where the model has no distribution.
        end: the quantile (1 + level) / 2, or the age.
    """

    age: Floats
    start: Floats
    end: Floats

    def rows(self, mask: Mask) -> Bounds:
        """Those of some faces."""
        return Bounds(*(column[mask] for column in self))


def fit_interval(fitted_to: Callable[[Mask], Bounds], likely: Floats, level: float) -> dict[str, Any]:
    """How far the interval must extend beyond a model's own quantiles, by the predicted age.

    Each end moves by itself, as in asymmetric conformalised quantile regression (Romano, Patterson and Candes,
    NeurIPS 2019): by the amount that (1 - level) / 2 of the faces with about the same prediction exceed. Then both ends
    move alike until the interval holds `level` of the faces that it wasn't fitted to, by five-fold cross-conformal
    prediction (Vovk 2015), which uses every face for both, where split conformal prediction halves them.

    Args:
        fitted_to: the bounds that the model has for all n faces when it is fitted to some, bool (n,).
        likely: float64 (n, 101), probability of each true age.
        level: in (0, 1).

    Returns:
        The member "interval" of a model file's age head; see `agegender_core.decoding`.
    """
    n = len(likely)
    fold = np.random.default_rng(0).permutation(n) % _FOLDS
    scores = np.empty_like(likely)
    for number in range(_FOLDS):
        fitted, kept = fold != number, fold == number
        bounds = fitted_to(fitted)
        below, above = _curves(bounds.rows(fitted), likely[fitted], level)
        age, start, end = bounds.rows(kept)
        low, high = start - below(age), end + above(age)
        scores[kept] = np.maximum(low[:, None] - AGES, AGES - high[:, None])
    shift = weighted_quantile(scores.ravel(), likely.ravel(), np.ceil((n + 1) * level) / n)
    below, above = _curves(fitted_to(np.ones(n, bool)), likely, level)
    # Rounded up, never down: with few distinct predictions or ages, many faces lie exactly on an end.
    ends = {"below": below.years + shift + _HALF, "above": above.years + shift + _HALF}
    return {"level": level, "at": rounded(below.at), **{name: rounded(years) for name, years in ends.items()}}


def _curves(bounds: Bounds, likely: Floats, level: float) -> tuple[Curve, Curve]:
    near, side = Neighbourhoods.of(bounds.age), (1 + level) / 2
    below = near.quantile(bounds.start[:, None] - AGES, likely, side)
    above = near.quantile(AGES - bounds.end[:, None], likely, side)
    return Curve(near.at, below), Curve(near.at, above)


def rounded(values: Floats) -> list[float]:
    """Years rounded to hundredths, for a model file."""
    return [round(float(value), 2) for value in values]
