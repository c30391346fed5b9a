"""The error of an expected age in years, against an interval of ages."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def expected_age(predicted: Any) -> Any:
    """Years, float (n,), of years (n, 1) or (n,), or of the probabilities of the ages 0, 1, 2, ..."""
    if len(predicted.shape) == 1 or predicted.shape[-1] == 1:
        return ops.reshape(predicted, (-1,))
    return ops.matmul(predicted, ops.arange(predicted.shape[-1], dtype=predicted.dtype))


@keras.saving.register_keras_serializable(package="agegender")
class IntervalAgeLoss(keras.losses.Loss):  # type: ignore[misc]
    """Absolute error in years of an expected age against an age interval.

    Two terms are mixed by `pull`. The first is the distance to the interval: nothing inside, L1 outside. Alone it
    drives a doubtful face to the border of its likeliest group, since all ages of the group cost the same. The second
    is the mean absolute error to be expected when every age of the interval is equally likely, less its constant: with
    half-width r and distance u from the middle that is u^2 / (2 r) inside and |u| - r / 2 outside, a Huber loss. Its
    minimum over faces of several groups is the median of their ages, which is what the MAE of exact ages asks for.

    A known age counts as the interval of half a year to both sides.

    Args:
        pull: weight of the second term, in [0, 1].
        widest: years; of a wider interval (an open group, "more than 70") the second term takes only the first years,
            for such a group thins out with age.
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
        low = ops.cast(y_true[:, 0], age.dtype)
        high = ops.cast(y_true[:, 1], age.dtype)
        distance = ops.maximum(low - age, 0.0) + ops.maximum(age - high, 0.0)
        half = ops.maximum(ops.minimum(high - low, self.widest) / 2, 0.5)
        error = ops.abs(age - (low + ops.minimum(high - low, self.widest) / 2))
        inside = ops.minimum(error, half)
        expected = inside * inside / (2 * half) + (error - inside)
        return (1 - self.pull) * distance + self.pull * expected

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "pull": self.pull, "widest": self.widest}
