"""The loss of a gender."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="agegender")
class GenderLoss(keras.losses.Loss):  # type: ignore[misc]
    """Binary cross-entropy of the probability of male; a regression's output may leave [0, 1].

    The probability is clipped to [floor, 1 - floor]. Beyond, where the clipped term has no slope, the distance to the
    clipped value is added, so that a value above 1 is pulled back for both genders.

    Args:
        floor: bound of the probability and, as 1 / floor, of the slope. A softmax needs hardly any.
        smoothing: part of each label that is given to the other gender, in [0, 0.5). 0.05 assumes that 95 of 100
            labels are right, and keeps the network from being more confident than that.
    """

    def __init__(
        self, floor: float = 0.02, smoothing: float = 0.0, name: str = "gender_entropy", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        if not 0 < floor < 0.5:
            raise ValueError(f"floor must be in (0, 0.5), got {floor}")
        if not 0 <= smoothing < 0.5:
            raise ValueError(f"smoothing must be in [0, 0.5), got {smoothing}")
        self.floor, self.smoothing = float(floor), float(smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face.

        Args:
            y_true: float (n, 1) or (n,), 1 male and 0 female.
            y_pred: float (n, 1) or (n,), the probability of male; or float (n, 2), those of female and male.

        Returns:
            float (n,).
        """
        p = y_pred[:, 1] if len(y_pred.shape) == 2 and y_pred.shape[-1] == 2 else ops.reshape(y_pred, (-1,))
        male = ops.cast(ops.reshape(y_true, (-1,)), p.dtype)
        male = male * (1 - 2 * self.smoothing) + self.smoothing
        clipped = ops.clip(p, self.floor, 1 - self.floor)
        entropy = -(male * ops.log(clipped) + (1 - male) * ops.log(1 - clipped))
        return entropy + ops.abs(p - clipped)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "floor": self.floor, "smoothing": self.smoothing}
