"""Losses of an age against an age interval, and against a teacher's prediction.

All take `y_true` float (n, 2), low and high in years, and give float (n,). A known age is an interval of one year. No
age is drawn from an interval: inside it, all ages are equally good, unless a loss says otherwise.

`IntervalAgeLoss` is for an age in years, the subclasses of `AgeDistributionLoss` for a probability for each age 0..100:
`y_pred` float (n, 101), rows that sum to 1.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_TINY = 1e-7


def _interval(y_true: Any, dtype: Any) -> tuple[Any, Any]:
    """Low and high in years, (n,) each."""
    return ops.cast(y_true[:, 0], dtype), ops.cast(y_true[:, 1], dtype)


def _distance(age: Any, low: Any, high: Any) -> Any:
    """Years from an age to an interval, 0 inside; the arguments broadcast."""
    return ops.maximum(low - age, 0.0) + ops.maximum(age - high, 0.0)


def _divergence(target: Any, predicted: Any) -> Any:
    """The Kullback-Leibler divergence from `predicted` to `target`, probabilities (n, k)."""
    return ops.sum(target * (ops.log(target + _TINY) - ops.log(predicted + _TINY)), axis=-1)


def expected_age(predicted: Any) -> Any:
    """Years, float (n,), from years (n, 1) or (n,), or from the probabilities of the ages 0, 1, 2, ... (n, k)."""
    if len(predicted.shape) == 1 or predicted.shape[-1] == 1:
        return ops.reshape(predicted, (-1,))
    return ops.matmul(predicted, ops.arange(predicted.shape[-1], dtype=predicted.dtype))


@keras.saving.register_keras_serializable(package="agegender")
class IntervalAgeLoss(keras.losses.Loss):  # type: ignore[misc]
    """Absolute error in years of an expected age against an age interval.

    Two terms are mixed by `pull`. The first is the distance to the interval: zero inside, L1 outside. By itself it
    pushes an uncertain face to the border of its likeliest group, since all ages of the group cost the same. The second
    is the expected absolute error if every age of the interval is equally likely, without its constant: with half-width
    r and distance u from the middle it is u^2 / (2 r) inside and |u| - r / 2 outside, a Huber loss. Its minimum over
    faces of several groups is the median of their ages, which minimises the MAE of exact ages, too.

    A known age counts as an interval of half a year to both sides.

    Args:
        pull: weight of the second term, in [0, 1].
        widest: years; the second term takes only so many first years of a wider interval (an open group, "more than
            70"), because such a group thins out with age.
    """

    def __init__(self, pull: float = 1.0, widest: float = 14.0, name: str = "interval_age", **options: Any) -> None:
        super().__init__(name=name, **options)
        if not 0 <= pull <= 1:
            raise ValueError(f"pull must be in [0, 1], got {pull}")
        if widest < 1:
            raise ValueError(f"widest must be at least 1 year, got {widest}")
        self.pull = float(pull)
        self.widest = float(widest)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face.

        Args:
            y_true: float (n, 2), low and high in years.
            y_pred: float (n, 1) or (n,), years; or float (n, 101), the ages' probabilities, whose expected age counts.

        Returns:
            float (n,).
        """
        age = expected_age(y_pred)
        low, high = _interval(y_true, age.dtype)
        distance = _distance(age, low, high)
        half = ops.maximum(ops.minimum(high - low, self.widest) / 2, 0.5)
        error = ops.abs(age - (low + ops.minimum(high - low, self.widest) / 2))
        inside = ops.minimum(error, half)
        expected = inside * inside / (2 * half) + (error - inside)
        return (1 - self.pull) * distance + self.pull * expected

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "pull": self.pull, "widest": self.widest}


def distances(y_true: Any, ages: int, dtype: Any) -> Any:
    """Years from each age 0, 1, 2, ... to the interval, 0 inside: float (n, ages)."""
    low, high = _interval(y_true, dtype)
    return _distance(ops.arange(ages, dtype=dtype)[None, :], low[:, None], high[:, None])


class AgeDistributionLoss(keras.losses.Loss):  # type: ignore[misc]
    """Base of the losses of an age distribution: adds a penalty for steps between neighbouring ages.

    Inside an interval the distribution is free, and a network that learns from age groups only makes steps at the
    groups' borders. Faces don't age in steps: `smoothness` times the sum of the squared differences of neighbouring
    probabilities is added.

    Args:
        smoothness: weight of the penalty; 0 for none.
    """

    def __init__(self, smoothness: float = 0.0, name: str = "age", **options: Any) -> None:
        super().__init__(name=name, **options)
        if smoothness < 0:
            raise ValueError(f"smoothness must not be negative, got {smoothness}")
        self.smoothness = float(smoothness)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face; for shapes see the module."""
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
    """Negative logarithm of the probability inside the interval; for a known age the usual cross-entropy.

    With `spread`, an age at distance d from the interval has the weight exp(-d^2 / (2 spread^2)), so that an error of a
    year costs little: label smoothing over neighbouring ages. Without, an age between two whole years is shared between
    them in proportion.

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

    Cross-entropy, plus half the squared error of the expected age, plus the distribution's variance. For an interval
    the error is the distance to it, and only variance beyond that of ages spread evenly over it costs.

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
        low, high = _interval(y_true, dtype)
        age = ops.arange(y_pred.shape[-1], dtype=dtype)
        expected = expected_age(y_pred)
        variance = ops.matmul(y_pred, age * age) - expected * expected
        even = ((high - low + 1) ** 2 - 1) / 12
        error = _distance(expected, low, high)
        entropy = super().misfit(y_true, y_pred)
        return entropy + self.mean * error * error / 2 + self.variance * ops.maximum(variance - even, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "variance": self.variance}


@keras.saving.register_keras_serializable(package="agegender")
class OrdinalLoss(AgeDistributionLoss):
    """Mean binary cross-entropy of "older than k" for k = 0..99, each the sum of the probabilities above k.

    The ordinal regression of Niu et al. (CVPR 2016) and CORAL (Cao, Mirjalili and Raschka, Pattern Recognition Letters
    2020), with sums of the softmax instead of CORAL's biases: they never rise with k either. Thresholds inside the
    interval, where the answer is unknown, don't count.
    """

    def misfit(self, y_true: Any, y_pred: Any) -> Any:
        """See the class."""
        dtype = y_pred.dtype
        low, high = _interval(y_true, dtype)
        threshold = ops.arange(y_pred.shape[-1] - 1, dtype=dtype)[None, :]
        younger = ops.clip(ops.cumsum(y_pred, axis=-1)[:, :-1], _TINY, 1 - _TINY)
        is_older, is_not = ops.cast(low[:, None] > threshold, dtype), ops.cast(high[:, None] <= threshold, dtype)
        entropy = -is_older * ops.log(1 - younger) - is_not * ops.log(younger)
        return ops.sum(entropy, axis=-1) / ops.maximum(ops.sum(is_older + is_not, axis=-1), 1.0)


@keras.saving.register_keras_serializable(package="agegender")
class LabelDistributionLoss(AgeDistributionLoss):
    """Gao, Zhou, Wu and Geng, "Age Estimation Using Expectation of Label Distribution Learning", IJCAI 2018.

    The Kullback-Leibler divergence between a Gaussian around the age and the prediction, plus the absolute error of the
    expected age (equations 4 to 7 there). For an interval, all ages inside are equally likely, with Gaussian flanks,
    and the absolute error is the distance to it.

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
        return _divergence(target, y_pred) + self.error * _distance(expected_age(y_pred), *_interval(y_true, dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "spread": self.spread, "error": self.error}


@keras.saving.register_keras_serializable(package="agegender")
class AgeDistillationLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss against the label, mixed with the distance to a teacher's prediction.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015. For distributions the distance is
    the Kullback-Leibler divergence, for years the absolute error. An age group is the same label for a face of 31 as
    for one of 39; a teacher that has seen both neighbouring groups tells them apart.

    Args:
        label_loss: the loss against the label.
        share: weight of the teacher, in [0, 1]; the label has the rest.
    """

    def __init__(
        self, label_loss: keras.losses.Loss, share: float = 0.5, name: str = "age_distillation", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], got {share}")
        self.label_loss, self.share = label_loss, float(share)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face.

        Args:
            y_true: float (n, 2 + k): low and high in years, then the teacher's prediction: years (k = 1), or the
                probability of each age.
            y_pred: float (n, k).

        Returns:
            float (n,).
        """
        teacher = ops.cast(y_true[:, 2:], y_pred.dtype)
        if y_pred.shape[-1] == 1:
            distance = ops.abs(expected_age(y_pred) - expected_age(teacher))
        else:
            distance = _divergence(teacher, y_pred)
        return (1 - self.share) * self.label_loss.call(y_true[:, :2], y_pred) + self.share * distance

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        label_loss = keras.saving.serialize_keras_object(self.label_loss)
        return {**super().get_config(), "label_loss": label_loss, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AgeDistillationLoss:
        """The inverse of `get_config`."""
        return cls(**{**config, "label_loss": keras.saving.deserialize_keras_object(config["label_loss"])})
