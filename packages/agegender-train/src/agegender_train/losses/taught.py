"""What a network learns of other networks beside the labels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from agegender_train.losses.interval import expected_age

_TINY = 1e-7


@keras.saving.register_keras_serializable(package="agegender")
class TaughtAgeLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss against the label, and the distance to what a teacher said of the same face (Hinton et al. 2015).

    Of a probability for each age the distance is the Kullback-Leibler divergence from the teacher's; of years, the
    absolute error. A group of ages says the same of a face of 31 as of one of 39: a teacher, which has seen both
    neighbouring groups, tells them apart.

    Args:
        label_loss: the loss against the label.
        share: of the teacher's part, in [0, 1]; the label's is the rest.
    """

    def __init__(
        self, label_loss: keras.losses.Loss, share: float = 0.5, name: str = "taught_age", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], got {share}")
        self.label_loss, self.share = label_loss, float(share)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each face.

        Args:
            y_true: float (n, 2 + k): low and high in years, then what the teacher said: years (k = 1), or the
                probability of each age.
            y_pred: float (n, k).

        Returns:
            float (n,).
        """
        teacher = ops.cast(y_true[:, 2:], y_pred.dtype)
        if y_pred.shape[-1] == 1:
            distance = ops.abs(expected_age(y_pred) - expected_age(teacher))
        else:
            distance = ops.sum(teacher * (ops.log(teacher + _TINY) - ops.log(y_pred + _TINY)), axis=-1)
        return (1 - self.share) * self.label_loss.call(y_true[:, :2], y_pred) + self.share * distance

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        label_loss = keras.saving.serialize_keras_object(self.label_loss)
        return {**super().get_config(), "label_loss": label_loss, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TaughtAgeLoss:
        """The inverse of `get_config`."""
        return cls(**{**config, "label_loss": keras.saving.deserialize_keras_object(config["label_loss"])})
