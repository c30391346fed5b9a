"""The age that a model should have said: a curve that never falls, kept only where it clearly helps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Curve
from agegender_train.calibration.likely import AGES
from agegender_train.calibration.neighbours import Floats

_KNOTS = np.array([0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 100.0])
_PRIOR_FACES = 20
_FOLDS = 5
_CLEARLY, _LEAST_GAIN = 2.0, 0.01


def fit_correction(network: Floats, likely: Floats) -> Curve:
    """The curve through few knots whose squared error is least; it stays near the identity where there are few faces.

    Between two knots, 20 faces that say that the network is right are added to the real ones.

    Args:
        network: the network's own ages: float64 (n,), years, or (n, 101), probabilities.
        likely: float64 (n, 101), probability of each true age.
    """
    # Rises from knot to knot are the unknowns: none may be negative.
    hats = np.array([np.interp(AGES, _KNOTS, unit) for unit in np.eye(len(_KNOTS))]).T
    if network.ndim == 1:
        rows = np.array([np.interp(network, _KNOTS, unit) for unit in np.eye(len(_KNOTS))]).T
    else:
        rows = network @ hats
    rises = np.cumsum(rows[:, ::-1], axis=1)[:, ::-1]
    identity = np.concatenate([[0.0], np.diff(_KNOTS)])
    products = rises.T @ rises + _PRIOR_FACES * np.eye(len(_KNOTS))
    target = rises.T @ (likely @ AGES) + _PRIOR_FACES * identity
    free, rise = np.ones(len(_KNOTS), bool), np.zeros(len(_KNOTS))
    while True:
        rise[free] = np.linalg.solve(products[np.ix_(free, free)], target[free])
        worst = int(np.argmin(rise))
        if rise[worst] >= 0:
            break
        free[worst], rise[worst] = False, 0.0
    return Curve(_KNOTS, np.minimum(np.cumsum(rise), MAX_AGE))


def clearly_helps(network: Floats, likely: Floats, possible: npt.NDArray[np.bool_]) -> bool:
    """Whether the correction brings faces that it wasn't fitted to nearer to their age interval, beyond chance.

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


def _distance(age: Floats, possible: npt.NDArray[np.bool_]) -> Floats:
    low, high = possible.argmax(axis=1), MAX_AGE - possible[:, ::-1].argmax(axis=1)
    return np.asarray(np.maximum(np.maximum(low - age, age - high), 0))
