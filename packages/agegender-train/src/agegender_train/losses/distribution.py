"""Losses of a probability for each age 0..100, against an interval of ages.

All take `y_true` float (n, 2), low and high in years, and `y_pred` float (n, 101), rows that sum to 1, and give float
(n,). A known age is an interval of one year. No age is drawn from an interval: all that is asked is that the
probability lies in it.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_TINY = 1e-7


def distances(y_true: Any, ages: int, dtype: Any) -> Any:
    """Years from each age 0, 1, 2, ... to the interval, 0 within it: float (n, ages)."""
    low, high = ops.cast(y_true[:, :1], dtype), ops.cast(y_true[:, 1:2], dtype)
    age = ops.reshape(ops.arange(ages, dtype=dtype), (1, -1))
    return ops.maximum(low - age, 0.0) + ops.maximum(age - high, 0.0)


class AgeDistributionLoss(keras.losses.Loss):  # type: ignore[misc]
    """What the losses of this file share: a penalty for steps between neighbouring ages.

    The probability within a group of ages is free, and a network that learns from groups alone puts it anywhere, with
    steps at the groups' borders. Faces don't age in steps: `smoothness` times the sum of the squared differences of
    neighbouring probabilities is added.

    Args:
        smoothness: 0 for no such penalty.
    """

    def __init__(self, smoothness: float = 0.0, name: str = "age", **options: Any) -> None:
        super().__init__(name=name, **options)
        if smoothness < 0:
            raise ValueError(f"smoothness must not be negative, got {smoothness}")
        self.smoothness = float(smoothness)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face; shapes as at the top of this file."""
        loss = self.misfit(y_true, y_pred)
        if self.smoothness:
            steps = y_pred[:, 1:] - y_pred[:, :-1]
            loss = loss + self.smoothness * ops.sum(steps * steps, axis=-1)
        return loss

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """The loss without the penalty."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "smoothness": self.smoothness}


@keras.saving.register_keras_serializable(package="agegender")
class IntervalCrossEntropy(AgeDistributionLoss):
    """Minus the logarithm of the probability that lies in the interval; for a known age the usual cross-entropy.

    With `spread`, an age at the distance d from the interval counts as exp(-d^2 / (2 spread^2)) of one within it, so
    that a year's error costs little: label smoothing over the neighbouring ages. Without, a fraction of a year between
    two ages counts for both in proportion.

    Args:
        spread: years; 0 for none.
        smoothness: see `AgeDistributionLoss`.
    """

    def __init__(self, spread: float = 0.0, smoothness: float = 0.0, name: str = "age_entropy", **options: Any) -> None:
        super().__init__(smoothness, name=name, **options)
        if spread < 0:
            raise ValueError(f"spread must not be negative, got {spread}")
        self.spread = float(spread)

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """See the class."""
        distance = distances(y_true, y_pred.shape[-1], y_pred.dtype)
        weight = ops.exp(-0.5 * (distance / self.spread) ** 2) if self.spread else ops.maximum(1.0 - distance, 0.0)
        return -ops.log(ops.sum(weight * y_pred, axis=-1) + _TINY)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "spread": self.spread}


@keras.saving.register_keras_serializable(package="agegender")
class MeanVarianceLoss(IntervalCrossEntropy):
    """Pan, Han, Shan and Chen, "Mean-Variance Loss for Deep Age Estimation from a Face", CVPR 2018, equations 3 to 6.

    Cross-entropy, plus half the squared error of the expected age, plus the distribution's variance. Against an
    interval the error is the distance to it, and only a variance beyond that of even ages in it costs.

    Args:
        mean: weight of the squared error; 0.2 in the paper.
        variance: weight of the variance; 0.05 in the paper.
        spread: see `IntervalCrossEntropy`.
        smoothness: see `AgeDistributionLoss`.
    """

    def __init__(
        self,
        mean: float = 0.2,
        variance: float = 0.05,
        spread: float = 0.0,
        smoothness: float = 0.0,
        name: str = "mean_variance",
        **options: Any,
    ) -> None:
        super().__init__(spread, smoothness, name=name, **options)
        self.mean, self.variance = float(mean), float(variance)

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """See the class."""
        dtype = y_pred.dtype
        low, high = ops.cast(y_true[:, 0], dtype), ops.cast(y_true[:, 1], dtype)
        age = ops.arange(y_pred.shape[-1], dtype=dtype)
        expected = ops.matmul(y_pred, age)
        variance = ops.matmul(y_pred, age * age) - expected * expected
        even = ((high - low + 1) ** 2 - 1) / 12
        error = ops.maximum(low - expected, 0.0) + ops.maximum(expected - high, 0.0)
        entropy = super().misfit(y_true, y_pred)
        return entropy + self.mean * error * error / 2 + self.variance * ops.maximum(variance - even, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "variance": self.variance}


@keras.saving.register_keras_serializable(package="agegender")
class OrdinalLoss(AgeDistributionLoss):
    """Mean binary cross-entropy of "older than k" for k = 0..99, each the sum of the probabilities above k.

    The ordinal regression of Niu et al. (CVPR 2016) and CORAL (Cao, Mirjalili and Raschka, Pattern Recognition Letters
    2020), with the softmax's own sums in place of CORAL's biases: they, too, never rise with k. Thresholds within
    the interval, where nobody knows the answer, don't count.
    """

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """See the class."""
        dtype = y_pred.dtype
        low, high = ops.cast(y_true[:, :1], dtype), ops.cast(y_true[:, 1:2], dtype)
        threshold = ops.reshape(ops.arange(y_pred.shape[-1] - 1, dtype=dtype), (1, -1))
        younger = ops.clip(ops.cumsum(y_pred, axis=-1)[:, :-1], _TINY, 1 - _TINY)
        is_older, is_not = ops.cast(low > threshold, dtype), ops.cast(high <= threshold, dtype)
        entropy = -is_older * ops.log(1 - younger) - is_not * ops.log(younger)
        return ops.sum(entropy, axis=-1) / ops.maximum(ops.sum(is_older + is_not, axis=-1), 1.0)


@keras.saving.register_keras_serializable(package="agegender")
class LabelDistributionLoss(AgeDistributionLoss):
    """Gao, Zhou, Wu and Geng, "Age Estimation Using Expectation of Label Distribution Learning", IJCAI 2018.

    The Kullback-Leibler divergence from a Gaussian round the age to the prediction, plus the absolute error of the
    expected age (equations 4 to 7 there). Of an interval every age is equally likely, with Gaussian flanks; its
    absolute error is the distance to it.

    Args:
        spread: standard deviation of the Gaussian, years; 2 in the paper.
        error: weight of the absolute error, per year.
        smoothness: see `AgeDistributionLoss`.
    """

    def __init__(
        self,
        spread: float = 2.0,
        error: float = 1.0,
        smoothness: float = 0.0,
        name: str = "label_distribution",
        **options: Any,
    ) -> None:
        super().__init__(smoothness, name=name, **options)
        if spread <= 0:
            raise ValueError(f"spread must be above 0, got {spread}")
        self.spread, self.error = float(spread), float(error)

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """See the class."""
        ages, dtype = y_pred.shape[-1], y_pred.dtype
        target = ops.exp(-0.5 * (distances(y_true, ages, dtype) / self.spread) ** 2)
        target = target / ops.sum(target, axis=-1, keepdims=True)
        divergence = ops.sum(target * (ops.log(target + _TINY) - ops.log(y_pred + _TINY)), axis=-1)
        expected = ops.matmul(y_pred, ops.arange(ages, dtype=dtype))
        low, high = ops.cast(y_true[:, 0], dtype), ops.cast(y_true[:, 1], dtype)
        return divergence + self.error * (ops.maximum(low - expected, 0.0) + ops.maximum(expected - high, 0.0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "spread": self.spread, "error": self.error}
