"""How the learning rate goes over a training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="agegender")
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linearly up to `peak` in `warm` steps, then down half a cosine to `peak / 100` at step `total`.

    As `keras.optimizers.schedules.CosineDecay`, but without a branch: an optimizer asks for the rate of each variable
    twice, and with hundreds of branches TensorFlow takes half a minute to make ready for the first step.
    """

    def __init__(self, peak: float, warm: int, total: int) -> None:
        self.peak, self.warm, self.total = float(peak), int(warm), int(total)

    def __call__(self, step: Any) -> Any:
        """The rate of `step`, counted from 0."""
        step = ops.cast(step, "float32")
        up = ops.minimum((step + 1) / max(self.warm, 1), 1.0)
        done = ops.clip((step - self.warm) / max(self.total - self.warm, 1), 0.0, 1.0)
        return self.peak * up * (0.505 + 0.495 * ops.cos(math.pi * done))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"peak": self.peak, "warm": self.warm, "total": self.total}
