"""What a phase trains with: the optimizer, its learning rate and the losses."""

from __future__ import annotations

from typing import Any

import keras

from agegender_train.runs.settings import Settings
from agegender_train.training.objective import Objective
from agegender_train.training.phases import Phase
from agegender_train.training.schedules import WarmUpCosine


@keras.saving.register_keras_serializable(package="agegender")
class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's, whose running averages of weights stay beside the weights.

    Keras's own writes them over the weights wherever `fit` ends: between two phases, and within one that was stopped.
    """

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing."""


def compile_for(phase: Phase, model: Any, objective: Objective, settings: Settings, batches: int) -> None:
    """Gives `model` a fresh optimizer for the layers that learn in `phase`, and the losses.

    Args:
        phase: applied to `model` already.
        model: any of ours.
        objective: its losses.
        settings: what is asked.
        batches: of an epoch.
    """
    options: dict[str, Any] = {}
    if settings.ema:
        # Keras moves the average with each batch, though the weights move only with each `accumulate` of them.
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
    # Made within TensorFlow's first step, the variables of the optimizer and of the losses would have it trace the step
    # twice, ten seconds each.
    model.optimizer.build(model.trainable_variables)
    predicted = {name: keras.ops.zeros((1, tensor.shape[-1])) for name, tensor in model.output.items()}
    targets = {head: keras.ops.zeros((1, width)) for head, width in objective.target_widths.items()}
    model.compute_loss(y={objective.outputs[head]: target for head, target in targets.items()}, y_pred=predicted)


def learning_rate(settings: Settings, phase: Phase, batches: int) -> Any:
    """The rate of each step of the optimizer in `phase`: a number, or a schedule of Keras."""
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
