"""Which ages a labelled face may have, and how likely each of them is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Curve
from agegender_train.calibration.neighbours import Floats, Neighbourhoods
from agegender_train.store.labels import Labels

AGES = np.arange(MAX_AGE + 1, dtype=np.float64)
_ROUNDS = 20
_FLOOR = 1e-3


def possible_ages(labels: Labels) -> npt.NDArray[np.bool_]:
    """bool (n, 101): the whole years that each label's interval holds; older than 100 counts as 100.

    Args:
        labels: n labels, all with an age.
    """
    low, high = (np.clip(np.rint(bound), 0, MAX_AGE)[:, None] for bound in (labels.age_low, labels.age_high))
    return np.asarray((low <= AGES) & (high >= AGES))


def likely_ages(age: Floats, possible: npt.NDArray[np.bool_]) -> tuple[Floats, Curve]:
    """The probability of each possible age, given its prediction, and the spread of the errors.

    A label that is a group says that the age is in it, not where. The ages of those who are taken for x are assumed to
    be normal about x plus some bias with some spread, both of which change slowly with x; within the group, an age is
    as likely as that says. Bias and spread come from the groups themselves: the expectation-maximisation of regression
    with interval-censored values (Dempster, Laird and Rubin 1977, section 4.1). For known ages there is nothing to
    assume.

    Args:
        age: float64 (n,), predicted years; n >= 1.
        possible: bool (n, 101), see `possible_ages`.

    Returns:
        float64 (n, 101), rows sum to 1 and are zero where not `possible`; and the root mean square error in years by
        the predicted age.
    """
    near = Neighbourhoods.of(age)
    likely = possible / possible.sum(axis=1, keepdims=True)
    rounds = _ROUNDS if possible.sum() > len(possible) else 1
    for number in range(rounds):
        bias = near.mean(likely @ AGES - age)
        errors = AGES - (age + np.interp(age, near.at, bias))[:, None]
        spread = np.sqrt(near.mean((likely * errors**2).sum(axis=1)))
        if number < rounds - 1:
            densities = np.exp(-0.5 * np.square(errors / np.maximum(np.interp(age, near.at, spread), 0.5)[:, None]))
            likely = _within(densities, possible)
    squares = (likely * np.square(AGES - age[:, None])).sum(axis=1)
    return likely, Curve(near.at, np.sqrt(near.mean(squares)))


def _within(densities: Floats, possible: npt.NDArray[np.bool_]) -> Floats:
    """The densities within the possible ages, never quite zero: far from its prediction an age is anyone's guess."""
    inside = (densities + _FLOOR) * possible
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))
