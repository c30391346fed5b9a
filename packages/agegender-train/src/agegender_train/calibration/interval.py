"""Intervals that hold the true age as often as they say: conformal prediction on a model's own quantiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Curve
from agegender_core.weighted import weighted_quantile
from agegender_train.calibration.likely import AGES
from agegender_train.calibration.neighbours import Floats, Neighbourhoods

Mask = npt.NDArray[np.bool_]

_FOLDS = 5
_HALF = 0.0049


class Bounds(NamedTuple):
    """What a model says of n faces before its interval is calibrated: float64 (n,) each, years.

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
    """How far the interval must reach beyond a model's own quantiles, by the predicted age.

    Each end is moved by itself, as in asymmetric conformalised quantile regression (Romano, Patterson and Candes,
    NeurIPS 2019): by what (1 - level) / 2 of the faces that are taken for about the same age exceed. Then both ends
    move alike until `level` of the faces are held that nothing was fitted to, in five-fold cross-conformal prediction
    (Vovk 2015), which uses every face for both, where split conformal prediction halves them.

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
    # Up, never down: where predictions or ages are few, many faces lie on the very end of the interval.
    ends = {"below": below.years + shift + _HALF, "above": above.years + shift + _HALF}
    return {"level": level, "at": rounded(below.at), **{name: rounded(years) for name, years in ends.items()}}


def _curves(bounds: Bounds, likely: Floats, level: float) -> tuple[Curve, Curve]:
    near, side = Neighbourhoods.of(bounds.age), (1 + level) / 2
    below = near.quantile(bounds.start[:, None] - AGES, likely, side)
    above = near.quantile(AGES - bounds.end[:, None], likely, side)
    return Curve(near.at, below), Curve(near.at, above)


def rounded(values: Floats) -> list[float]:
    """Years to the hundredth, for a model file."""
    return [round(float(value), 2) for value in values]
