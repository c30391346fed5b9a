"""The phases of a training: which layers learn, with which optimizer and learning rate.

With `frozen_epochs`, transfer learning has two: first only the heads learn, on a trunk that stays as it is; then the
trunk learns, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from agegender_core.spelling import with_near_names
from agegender_train.models import Network
from agegender_train.runs.settings import Settings
from agegender_train.training.objective import Objective


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers learn.

    Attributes:
        start: number of epochs before the phase.
        stop: number of epochs at its end.
        layers: names of the layers that learn.
        heads_only: whether the trunk stays as it is.
    """

    start: int
    stop: int
    layers: frozenset[str]
    heads_only: bool

    def apply(self, model: Any) -> None:
        """Makes only these layers of `model` trainable; other layers' batch statistics aren't updated either."""
        for layer in model.layers:
            layer.trainable = layer.name in self.layers


def plan_phases(model: Any, network: Network, settings: Settings) -> Iterator[Phase]:
    """The phases of a training, one or two.

    Raises:
        ValueError: `settings` ask for frozen epochs of a network without a trunk, or name an unknown layer.
    """
    names = [layer.name for layer in model.layers]
    if settings.frozen_epochs and not network.head_layers:
        raise ValueError(f"{network.name} has no trunk to freeze: frozen_epochs must be 0")
    if settings.train_from and settings.train_from not in names:
        unknown = ValueError(f"{network.name} has no layer {settings.train_from!r} to train from")
        raise with_near_names(unknown, settings.train_from, names)
    if settings.frozen_epochs:
        yield Phase(0, settings.frozen_epochs, frozenset(network.head_layers), True)
    learning = names[names.index(settings.train_from) :] if settings.train_from else names
    yield Phase(settings.frozen_epochs, settings.epochs, frozenset(learning) | {*network.head_layers}, False)


@keras.saving.register_keras_serializable(package="agegender")
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Learning rate that rises linearly to `peak` in `warm` steps, then falls on a cosine to `peak / 100` at `total`.

    As `keras.optimizers.schedules.CosineDecay`, but without a branch: an optimizer asks for the rate twice for each
    variable, and hundreds of branches delay TensorFlow's first step by half a minute.
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


@keras.saving.register_keras_serializable(package="agegender")
class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's AdamW, but the running averages of the weights never replace the weights.

    Keras's own overwrites the weights with them wherever `fit` ends: between two phases, and in one that was stopped.
    """

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing."""


def compile_for(phase: Phase, model: Any, objective: Objective, settings: Settings, batches: int) -> None:
    """Compiles `model` with a new optimizer for the layers that learn in `phase`, and with the losses.

    Args:
        phase: already applied to `model`.
        model: built by `models.build_model`.
        objective: its losses.
        settings: of the training.
        batches: in an epoch.
    """
    options: dict[str, Any] = {}
    if settings.ema:
        # Keras updates the average with each batch, though the weights change only every `accumulate` batches.
        options |= {"use_ema": True, "ema_momentum": settings.ema ** (1 / settings.accumulate)}
    if settings.accumulate > 1:
        options["gradient_accumulation_steps"] = settings.accumulate
    rate = learning_rate(settings, phase, batches)
    model.compile(
        optimizer=AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=5.0, **options),
        **objective.compiled,
        # XLA's convolutions on the CPU are two to three times slower than TensorFlow's own.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    # If the variables of the optimizer and of the losses were made in the first step, TensorFlow would trace it twice,
    # which takes ten seconds each time.
    model.optimizer.build(model.trainable_variables)
    predicted = {name: keras.ops.zeros((1, tensor.shape[-1])) for name, tensor in model.output.items()}
    targets = {head: keras.ops.zeros((1, width)) for head, width in objective.target_widths.items()}
    model.compute_loss(y={objective.outputs[head]: target for head, target in targets.items()}, y_pred=predicted)


def learning_rate(settings: Settings, phase: Phase, batches: int) -> Any:
    """The learning rate of the optimizer's steps in `phase`: a number, or a Keras schedule."""
    peak = settings.learning_rate

    def steps(epochs: int) -> int:
        return epochs * batches // settings.accumulate

    if phase.heads_only or settings.schedule == "constant":
        return peak
    if settings.schedule == "cosine":
        total = steps(phase.stop - phase.start)
        return WarmUpCosine(peak, min(steps(1), total // 10), total)
    falls = [epoch for epoch in settings.step_epochs if phase.start < epoch < phase.stop]
    already = sum(epoch <= phase.start for epoch in settings.step_epochs)
    rates = [peak / 10 ** (already + fall) for fall in range(len(falls) + 1)]
    if not falls:
        return rates[0]
    bounds = [steps(epoch - phase.start) for epoch in falls]
    return keras.optimizers.schedules.PiecewiseConstantDecay(bounds, rates)
