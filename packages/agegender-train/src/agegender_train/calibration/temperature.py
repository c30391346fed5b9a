"""Temperatures: how far probabilities must be flattened or sharpened to hold (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import logit_of

_RANGE = (0.2, 10.0)
_CHI_SQUARED = 3.84
_STEPS = 20
# Keeps Newton's method from infinity where the genders are told apart without a mistake.
_RIDGE = 1e-3


def fit_temperature(loss: Callable[[float], float]) -> float:
    """The temperature in 0.2..10 with the least `loss`, to about 0.1 %.

    A coarse grid first: with labels that are groups, the loss may have more than one minimum.
    """
    logs = np.linspace(np.log(_RANGE[0]), np.log(_RANGE[1]), 17)
    losses = [loss(float(np.exp(log))) for log in logs]
    best = int(np.argmin(losses))
    low, high = logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)]
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(float(np.exp(left))) < loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def fit_gender(
    p_male: npt.NDArray[np.float32], male: npt.NDArray[np.bool_], with_bias: bool = True
) -> tuple[float, float]:
    """Temperature and bias of the logit of a gender's probability, by maximum likelihood (Platt 1999).

    The bias stays zero unless the faces speak for it beyond chance (a likelihood ratio test at 5 %): it is the share of
    the genders among these faces as much as a mistake of the model.

    Args:
        p_male: float32 (n,), in [0, 1].
        male: bool (n,), with both values in it.
        with_bias: ``False`` for a temperature alone, which leaves who is taken for male.
    """
    logit = logit_of(p_male)

    def loss(temperature: float, bias: float = 0.0) -> float:
        z = logit / temperature + bias
        return float(np.mean(np.logaddexp(0, np.where(male, -z, z))))

    temperature = fit_temperature(loss)
    if not with_bias:
        return temperature, 0.0
    slope, bias = _logistic_regression(logit, male, 1 / temperature)
    if slope > 0 and 2 * len(male) * (loss(temperature) - loss(1 / slope, bias)) > _CHI_SQUARED:
        return float(np.clip(1 / slope, *_RANGE)), bias
    return temperature, 0.0


def _logistic_regression(x: npt.NDArray[np.float64], y: npt.NDArray[np.bool_], slope: float) -> tuple[float, float]:
    """Slope and intercept of the greatest likelihood by Newton's method, from `slope` and 0 on."""
    design = np.column_stack([x, np.ones_like(x)])
    found = np.array([slope, 0.0])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-design @ found))
        curvature = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        found = found + np.linalg.solve(curvature, design.T @ (y - p))
    return float(found[0]), float(found[1])
