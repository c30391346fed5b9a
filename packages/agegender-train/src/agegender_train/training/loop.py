"""Training of a network on aligned stores, on any backend of Keras.

The loop is `keras.Model.fit` over endless batches; one callback of ours does what belongs to the end of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agegender_core.spec import PreprocessSpec
from agegender_train.batches import Batches, FaceSet, hold_out
from agegender_train.export import export_onnx
from agegender_train.folder_lock import folder_lock
from agegender_train.models import Network, get_network, recommended
from agegender_train.runs import RunFolder, describe_data, git_revision, versions
from agegender_train.settings import Settings
from agegender_train.splits import training_sides
from agegender_train.store import Store
from agegender_train.training.compiling import compile_for
from agegender_train.training.devices import device_scope, precision, prepare_backend
from agegender_train.training.epochs import EpochEnd, TrainingProgress
from agegender_train.training.interrupts import interrupt_between_steps
from agegender_train.training.objective import Objective
from agegender_train.training.phases import Phase, plan_phases
from agegender_train.training.state import SavedState, Standing
from agegender_train.training.validation import validate


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

    The best epoch is the best by `Settings.best_by` on the validation faces, or the last one where there are none. A
    run that was stopped, by whatever means, goes on where the same is asked of the same folder again.

    Args:
        stores: aligned stores, cut alike.
        out: folder of the run; made if it is not there.
        settings: what is asked; the defaults when ``None``.
        progress: called after every step and every epoch.

    Raises:
        ValueError: stores that are cut differently or hold too few labelled faces, a setting that doesn't fit them, or
            a stopped run of other settings in `out`.
        FileExistsError: `out` already holds a run that came to its end.
        OSError: another process trains in `out`, or the state there can't be read.
        KeyboardInterrupt: Ctrl-C was pressed; the state after the step was kept.
    """
    settings = settings or recommended("ssrnet")
    run = RunFolder(Path(out))
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
    if settings.accumulate > batches.per_epoch:
        raise ValueError(f"accumulate must be in 1..{batches.per_epoch}, an epoch's batches, got {settings.accumulate}")
    _check_choice_of_best(settings, faces, validation_rows)
    prepare_backend(settings.deterministic)
    with ExitStack() as stack:
        stack.enter_context(device_scope(settings.device))
        callbacks = list(_extra_callbacks(settings, run))
        keras.utils.set_random_seed(settings.seed)
        start = {"weights": settings.weights} if settings.weights != "none" else {}
        if start and not network.head_layers:
            raise ValueError(f"{network.name} has no trunk for weights to start from: weights must be none")
        options = {"input_size": spec.input_size, **settings.model_options}
        with precision(settings.precision):
            model = network.build(**options, **start)
        phases = list(plan_phases(model, network, settings))
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
        stack.enter_context(folder_lock(run.path))
        run.begin(config)
        saved = SavedState(run.state) if run.state.exists() else None
        standing = saved.standing if saved else Standing()
        run.settle(standing.best_epoch, standing.rows)

        def figures_of(model: Any, rows: npt.NDArray[np.int64] = validation_rows) -> tuple[dict[str, Any], float]:
            return validate(model, network, objective, faces, rows, spec, settings.batch_size)

        def plain(model: Any) -> Any:
            if settings.precision == "float32":
                return model
            copy = network.build(**options)
            copy.set_weights(model.get_weights())
            return copy

        with interrupt_between_steps() as interrupt:
            epoch_end = EpochEnd(
                run,
                settings,
                batches.per_epoch,
                figures_of if len(validation_rows) else None,
                plain,
                standing,
                phases[-1].start,
                interrupt,
                progress,
            )
            for phase in phases:
                if standing.epoch < phase.stop and not epoch_end.ends:
                    phase.apply(model)
                    compile_for(phase, model, objective, settings, batches.per_epoch)
                    _run_phase(phase, model, batches, settings, epoch_end, saved, callbacks)
                    saved = None
        best = keras.saving.load_model(run.checkpoints / "best.keras", compile=False)
        # Without validation faces, a sample of the training's own tells at least the size of the error.
        rows = validation_rows if len(validation_rows) else training_rows[:2000]
        figures, _ = figures_of(best, rows)
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
                "best_epoch": standing.best_epoch,
                "seed": settings.seed,
                "git": config["git"],
            },
            metrics=[{"test_set": "validation part of the training data", **_flat(figures)}],
            licence=settings.licence,
        )
        run.finish()
    return RunResult(run.path, run.model, standing.rows, standing.best_epoch, figures)


def _run_phase(
    phase: Phase,
    model: Any,
    batches: Batches,
    settings: Settings,
    epoch_end: EpochEnd,
    saved: SavedState | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Trains `model` from where `saved` left it to the end of `phase`."""
    first, step = epoch_end.standing.epoch, epoch_end.standing.step
    if saved is not None:
        # At a phase's start, the state's optimizer is still that of the phase before.
        saved.restore(model, optimizer=(first, step) > (phase.start, 0))
    # Keras counts an epoch's batches from 0 anew: what is left of a broken one is a short epoch.
    spans = [(first, first + 1, step), (first + 1, phase.stop, 0)] if step else [(first, phase.stop, 0)]
    for start, stop, done in spans:
        if start == stop or epoch_end.ends:
            continue
        epoch_end.metrics_from = saved if done else None
        # A stream for each: Keras takes more batches of one than it uses.
        with batches.stream(start * batches.per_epoch + done, settings.workers) as stream:
            model.fit(
                stream,
                initial_epoch=start,
                epochs=stop,
                steps_per_epoch=batches.per_epoch - done,
                shuffle=False,
                verbose=0,
                callbacks=[epoch_end, *callbacks],
            )


def _check_choice_of_best(settings: Settings, faces: FaceSet, rows: npt.NDArray[np.int64]) -> None:
    if not len(rows):
        if settings.patience:
            raise ValueError("patience needs validation faces, and there are none")
        return
    labels = faces.labels[rows]
    known = {
        "val_loss": True,
        "middle_mae": bool((~np.isnan(labels.age_low)).any()),
        "age_mae": bool(labels.age_is_exact.any()),
        "gender_accuracy": bool((labels.gender >= 0).any()),
    }
    if not known[settings.best_by]:
        raise ValueError(f"best_by {settings.best_by} needs validation faces with a label for it, and there are none")


def _extra_callbacks(settings: Settings, run: RunFolder) -> Iterator[keras.callbacks.Callback]:
    if settings.tensorboard:
        if find_spec("tensorflow") is None:
            raise ValueError("tensorboard needs TensorFlow, which is not installed here")
        yield keras.callbacks.TensorBoard(str(run.path / "tensorboard"), write_graph=False)


def _heads(network: Network, figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in network.heads.items()}
    if heads["age"]["decode"] == "years":
        heads["age"]["std"] = round(figures["age_std"] or 0.0, 2)
    return heads


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "bands" and value is not None}
