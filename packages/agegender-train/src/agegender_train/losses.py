"""Losses for labels as they come: ages as intervals, genders that may be missing.

Labels enter as `age` float (n, 2), low and high in years, and `p_male` float (n, 1), 1 male and 0 female. A missing
label is any finite number with a sample weight of 0: the caller masks, the losses never see a NaN.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
        """Loss of each face: `y_true` float (n, 2) low and high, `y_pred` float (n, 1) or (n,) -> float (n,)."""
        age = ops.reshape(y_pred, (-1,))
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


@keras.saving.register_keras_serializable(package="agegender")
class GenderLoss(keras.losses.Loss):  # type: ignore[misc]
    """Binary cross-entropy of a probability that a regression gives, so that it may leave [0, 1].

    The probability is clipped to [floor, 1 - floor]; beyond, where the clipped term has no slope, the distance to the
    clipped value is added. So a value above 1 is drawn back for a male and drawn down for a female.

    Args:
        floor: bound of the probability and, as 1 / floor, of the slope.
    """

    def __init__(self, floor: float = 0.02, name: str = "gender", **options: Any) -> None:
        super().__init__(name=name, **options)
        if not 0 < floor < 0.5:
            raise ValueError(f"floor must be in (0, 0.5), got {floor}")
        self.floor = float(floor)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face: `y_true` float (n, 1) or (n,), `y_pred` float of the same size -> float (n,)."""
        p = ops.reshape(y_pred, (-1,))
        male = ops.cast(ops.reshape(y_true, (-1,)), p.dtype)
        clipped = ops.clip(p, self.floor, 1 - self.floor)
        entropy = -(male * ops.log(clipped) + (1 - male) * ops.log(1 - clipped))
        return entropy + ops.abs(p - clipped)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "floor": self.floor}
