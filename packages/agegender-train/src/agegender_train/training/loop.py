"""Training of a network on aligned stores, on any backend of Keras.

The loop is `keras.Model.fit` over endless batches; one callback of ours does what belongs to the end of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from agegender_core.spec import PreprocessSpec
from agegender_train.batches import Batches, FaceSet, hold_out
from agegender_train.export import export_onnx
from agegender_train.models import Network, get_network, recommended
from agegender_train.runs import RunFolder, describe_data, git_revision, versions
from agegender_train.settings import Settings
from agegender_train.splits import training_sides
from agegender_train.store import Store
from agegender_train.training.epochs import EpochEnd, TrainingProgress, validate
from agegender_train.training.objective import Objective
from agegender_train.training.phases import Phase, plan_phases
from agegender_train.training.schedules import WarmUpCosine


@dataclass(frozen=True)
class RunResult:
    """What a training left.

    Attributes:
        path: the run folder.
        model: the exported model file.
        history: a row for each epoch, as in history.csv.
        best_epoch: the epoch whose weights were exported, counted from 1.
        metrics: figures of the exported weights on the validation faces; see `metrics.Scores.compute`.
    """

    path: Path
    model: Path
    history: list[dict[str, Any]]
    best_epoch: int
    metrics: dict[str, Any]


def train(
    stores: Sequence[Store],
    out: Path | str,
    settings: Settings | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> RunResult:
    """Train a network, keep the run in the folder `out`, and export the best weights as ``model.onnx``.

    The best epoch is that of the lowest loss on the validation faces, or the last one where there are none.

    Args:
        stores: aligned stores, cut alike.
        out: folder of the run; made if it is not there.
        settings: what is asked; the defaults when ``None``.
        progress: called after every step and every epoch.

    Raises:
        ValueError: stores that are cut differently or hold too few labelled faces, or a setting that doesn't fit them.
        FileExistsError: `out` already holds a run.
    """
    settings = settings or recommended("ssrnet")
    network = get_network(settings.model)
    objective = Objective(network, settings)
    faces = FaceSet(stores, settings.cache_bytes)
    spec = PreprocessSpec(
        input_size=settings.input_size or network.input_size,
        chip_size=faces.chip_size,
        chip_padding=faces.chip_padding,
        margin=settings.margin,
        mean=network.mean,
        scale=network.scale,
    )
    if settings.split is None:
        held = hold_out(faces.identities(), settings.validation_fraction, settings.seed)
        trained = ~held
    else:
        trained, held = training_sides(stores, settings.split, settings.fold)
    labelled = ~np.isnan(faces.labels.age_low) | (faces.labels.gender >= 0)
    training_rows, validation_rows = np.flatnonzero(labelled & trained), np.flatnonzero(labelled & held)
    batches = Batches(
        faces,
        training_rows,
        spec,
        settings.batch_size,
        settings.seed,
        settings.augmentation,
        settings.balance,
        outputs=objective.outputs,
    )
    keras.utils.set_random_seed(settings.seed)
    with _device(settings.device):
        start = {"weights": settings.weights} if settings.weights != "none" else {}
        if start and not network.head_layers:
            raise ValueError(f"{network.name} has no trunk for weights to start from: weights must be none")
        model = network.build(input_size=spec.input_size, **settings.model_options, **start)
        phases = list(plan_phases(model, network, settings))
        run = RunFolder(Path(out))
        config = {
            "settings": asdict(settings),
            "spec": asdict(spec),
            "data": describe_data(stores),
            "faces": {"training": len(training_rows), "validation": len(validation_rows)},
            "parameters": model.count_params(),
            "backend": keras.backend.backend(),
            "versions": versions(),
            "git": git_revision(),
        }
        run.write_config(config)
        epoch_end = EpochEnd(
            run, network, objective, faces, validation_rows, spec, settings, batches.per_epoch, progress
        )
        for phase in phases:
            phase.apply(model)
            _compile(model, objective, settings, phase, batches.per_epoch)
            # A stream for each: Keras takes more batches of one than it uses.
            with batches.stream(phase.start * batches.per_epoch, settings.workers) as stream:
                model.fit(
                    stream,
                    initial_epoch=phase.start,
                    epochs=phase.stop,
                    steps_per_epoch=batches.per_epoch,
                    shuffle=False,
                    verbose=0,
                    callbacks=[epoch_end],
                )
        best = keras.saving.load_model(run.checkpoints / "best.keras", compile=False)
        # Without validation faces, a sample of the training's own tells at least the size of the error.
        rows = validation_rows if len(validation_rows) else training_rows[:2000]
        figures, _ = validate(best, network, objective, faces, rows, spec, settings.batch_size)
    export_onnx(
        best,
        run.model,
        name=network.name,
        spec=spec,
        heads=_heads(network, figures),
        training={
            "data": [f"{store.name} ({len(store)} faces)" for store in stores],
            "n": len(training_rows),
            "epochs": settings.epochs,
            "best_epoch": epoch_end.best_epoch,
            "seed": settings.seed,
            "git": config["git"],
        },
        metrics=[{"test_set": "validation part of the training data", **_flat(figures)}],
        licence=settings.licence,
    )
    return RunResult(run.path, run.model, epoch_end.history_rows, epoch_end.best_epoch, figures)


def _compile(model: Any, objective: Objective, settings: Settings, phase: Phase, steps: int) -> None:
    averaged = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    rate = _learning_rate(settings, phase, steps)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=5.0, **averaged),
        **objective.compiled,
        # XLA's convolutions on the CPU are two to three times slower than TensorFlow's own.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    # Made within TensorFlow's first step, the variables of the optimizer and of the losses would have it trace the step
    # twice, ten seconds each.
    model.optimizer.build(model.trainable_variables)
    predicted = {name: keras.ops.zeros((1, tensor.shape[-1])) for name, tensor in model.output.items()}
    targets = {"age": keras.ops.zeros((1, 2)), "gender": keras.ops.zeros((1, 1))}
    model.compute_loss(y={objective.outputs[head]: target for head, target in targets.items()}, y_pred=predicted)


def _learning_rate(settings: Settings, phase: Phase, steps: int) -> Any:
    peak, total = settings.learning_rate, (phase.stop - phase.start) * steps
    if phase.heads_only or settings.schedule == "constant":
        return peak
    if settings.schedule == "cosine":
        return WarmUpCosine(peak, min(steps, total // 10), total)
    falls = [epoch for epoch in settings.step_epochs if phase.start < epoch < phase.stop]
    already = sum(epoch <= phase.start for epoch in settings.step_epochs)
    rates = [peak / 10 ** (already + fall) for fall in range(len(falls) + 1)]
    if not falls:
        return rates[0]
    bounds = [(epoch - phase.start) * steps for epoch in falls]
    return keras.optimizers.schedules.PiecewiseConstantDecay(bounds, rates)


def _device(name: str) -> AbstractContextManager[Any]:
    """The scope in which everything runs on the device `name`."""
    if name == "auto":
        return nullcontext()
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "gpu") or (number and not number.isdigit()):
        raise ValueError(f'device must be "auto", "cpu" or "gpu:N", got {name!r}')
    there = len(keras.distribution.list_devices(kind))
    if int(number or 0) >= there:
        raise ValueError(f"device {name!r} is not there: {keras.backend.backend()} sees {there} of kind {kind}")
    scope: AbstractContextManager[Any] = keras.device(f"{kind}:{number or 0}")
    return scope


def _heads(network: Network, figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in network.heads.items()}
    if heads["age"]["decode"] == "years":
        heads["age"]["std"] = round(figures["age_std"] or 0.0, 2)
    return heads


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "bands" and value is not None}
