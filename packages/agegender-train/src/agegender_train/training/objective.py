"""The objective of a training: the weighted losses of both heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE
from agegender_train.losses import AgeDistillationLoss, GenderLoss, make_age_loss
from agegender_train.models import Network
from agegender_train.runs.settings import Settings
from agegender_train.store.labels import Labels


class Objective:
    """The losses of a network's heads.

    Raises:
        ValueError: the age loss of the settings is unknown, or doesn't fit the network.
    """

    def __init__(self, network: Network, settings: Settings) -> None:
        heads = network.heads
        self.wants_distribution = heads["age"]["decode"] == "expected"
        """Whether a teacher must give a probability for each age."""
        self.outputs = {head: heads[head]["output"] for head in ("age", "gender")}
        """Names of the network's outputs."""
        self._label_losses = {
            "age": make_age_loss(settings.age_loss, heads["age"]["decode"], **settings.age_loss_options),
            "gender": GenderLoss(
                1e-4 if heads["gender"]["decode"] == "softmax" else 0.02, smoothing=settings.gender_smoothing
            ),
        }
        self._losses = dict(self._label_losses)
        self.target_widths = {"age": 2, "gender": 1}
        """Columns of the targets; see `batches.Batch`."""
        if settings.teachers:
            self._losses["age"] = AgeDistillationLoss(self._label_losses["age"], settings.teacher_share)
            self.target_widths["age"] += MAX_AGE + 1 if self.wants_distribution else 1
        self._weights = {"age": settings.age_weight, "gender": settings.gender_weight}

    def learns(self, labels: Labels) -> tuple[str, ...]:
        """The heads that can learn something from these labels, "age" before "gender".

        A head needs a loss with a weight, and labels: an age, or both genders, for one gender alone is nothing to tell
        apart.
        """
        known = {"age": bool((~np.isnan(labels.age_low)).any()), "gender": {0, 1} <= set(labels.gender.tolist())}
        return tuple(head for head, found in known.items() if found and self._weights[head] > 0)

    @property
    def compiled(self) -> dict[str, Any]:
        """The arguments "loss" and "loss_weights" of `keras.Model.compile`."""
        return {
            "loss": {self.outputs[head]: loss for head, loss in self._losses.items()},
            "loss_weights": {self.outputs[head]: weight for head, weight in self._weights.items()},
        }

    def value(self, outputs: Mapping[str, Any], labels: Labels) -> float:
        """The weighted loss against the labels only: of each head the mean over the faces whose label is known.

        Args:
            outputs: the model's outputs by name.
            labels: of the same faces.
        """
        known = {"age": ~np.isnan(labels.age_low), "gender": labels.gender >= 0}
        targets: dict[str, npt.NDArray[Any]] = {
            "age": np.column_stack([labels.age_low, labels.age_high]),
            "gender": labels.gender,
        }
        total = 0.0
        for head, rows in known.items():
            if rows.any():
                target = keras.ops.convert_to_tensor(targets[head][rows].astype(np.float32))
                output = keras.ops.convert_to_tensor(np.asarray(outputs[self.outputs[head]], np.float32)[rows])
                total += self._weights[head] * float(keras.ops.mean(self._label_losses[head].call(target, output)))
        return total
