"""Temperatures: how far probabilities must be flattened or sharpened to hold (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from agegender_core.decoding import logit_of

LOWEST, HIGHEST = 0.2, 10.0
"""Temperatures are sought between these."""

_CHI_SQUARED = 3.84


def fit_temperature(loss: Callable[[float], float]) -> float:
    """The temperature in 0.2..10 with the least `loss`, to about 0.1 %.

    A coarse grid comes first: with labels that are age groups, the loss may have more than one minimum.
    """
    logs = np.linspace(np.log(LOWEST), np.log(HIGHEST), 17)
    best = int(np.argmin([loss(float(np.exp(log))) for log in logs]))
    around = logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)]
    found = minimize_scalar(
        lambda log: loss(float(np.exp(log))), bounds=around, method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(found.x))


def fit_gender(
    p_male: npt.NDArray[np.float32], male: npt.NDArray[np.bool_], with_bias: bool = True
) -> tuple[float, float]:
    """Temperature and bias of the logit of a gender's probability, by maximum likelihood (Platt 1999).

    The bias stays zero unless the likelihood ratio test at 5 % speaks for one: it reflects the share of the genders
    among these faces as much as an error of the model.

    Args:
        p_male: float32 (n,), in [0, 1].
        male: bool (n,), with both values in it.
        with_bias: ``False`` for a temperature alone, which changes nobody's predicted gender.
    """
    logit = logit_of(p_male)

    def loss(temperature: float, bias: float = 0.0) -> float:
        z = logit / temperature + bias
        return float(np.mean(np.logaddexp(0, np.where(male, -z, z))))

    temperature = fit_temperature(loss)
    if not with_bias:
        return temperature, 0.0
    slope, bias = _logistic_regression(logit, male, 1 / temperature)
    if 2 * len(male) * (loss(temperature) - loss(1 / slope, bias)) > _CHI_SQUARED:
        return 1 / slope, bias
    return temperature, 0.0


def _logistic_regression(x: npt.NDArray[np.float64], y: npt.NDArray[np.bool_], slope: float) -> tuple[float, float]:
    """Slope and intercept of the greatest likelihood; the search starts from `slope` and 0.

    The slope keeps to the range of temperatures, so that there is a maximum even where one threshold separates the
    genders without an error.
    """

    def loss(line: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        z = line[0] * x + line[1]
        residual = expit(z) - y
        return float(np.mean(np.logaddexp(0, np.where(y, -z, z)))), np.array([(residual * x).mean(), residual.mean()])

    found = minimize(
        loss,
        np.array([slope, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1 / HIGHEST, 1 / LOWEST), (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return float(found.x[0]), float(found.x[1])
