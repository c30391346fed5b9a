"""Training of a network on aligned stores, on any backend of Keras.

The loop is `keras.Model.fit` over endless batches; one callback, `EpochEnd`, does all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agegender_core.model_file import with_untrained
from agegender_core.preprocess import preprocess
from agegender_train.batches.batches import Batches
from agegender_train.export import export_onnx
from agegender_train.files import folder_lock, no_progress
from agegender_train.models import Network, get_network, model_to_start_from, recommended
from agegender_train.runs.folder import EXECUTION_SETTINGS, RunFolder, describe_data, git_revision, versions
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.training.data import TrainingData, gather
from agegender_train.training.devices import (
    Replicas,
    check_same,
    device_scope,
    precision,
    prepare_backend,
    replica_scope,
    single_device,
)
from agegender_train.training.epochs import (
    DivergedError,
    EpochEnd,
    TrainingProgress,
    interrupt_between_steps,
    teacher_progress,
)
from agegender_train.training.from_model_file import start_from_model_file
from agegender_train.training.phases import Phase, compile_for, plan_phases
from agegender_train.training.state import SavedState, Status, start_from
from agegender_train.training.teachers import TeacherPredictions

_TRAINING_SAMPLE = 2000
"""Faces that are measured where there are no validation faces, or at the start from a model file."""


@dataclass(frozen=True)
class RunResult:
    """The result of a training.

    Attributes:
        path: the run folder.
        model: the exported model file.
        history: a row for each epoch, as in history.csv.
        best_epoch: number of the epoch whose weights were exported, from 1.
        metrics: of the exported weights on the validation faces, or on `test_set` where there are none; see
            `metrics.Scores.compute`. Empty where another process of the same training wrote the folder.
        test_set: what `metrics` were measured on, as the model file names it.
        untrained: those of the heads "age" and "gender" that learned nothing; see `Objective.learns`.
    """

    path: Path
    model: Path
    history: list[dict[str, Any]]
    best_epoch: int
    metrics: dict[str, Any]
    test_set: str = ""
    untrained: tuple[str, ...] = ()


def train(
    stores: Sequence[Store],
    out: Path | str,
    settings: Settings | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> RunResult:
    """Train a network, write the run to the folder `out`, and export the best weights as ``model.onnx``.

    The best epoch is the best by `Settings.best_by` on the validation faces, or the last one where there are none. A
    run that was stopped, whatever stopped it, is resumed by the same call.

    Args:
        stores: aligned stores, cut alike.
        out: folder of the run; made if it is not there.
        settings: of the training; `models.recommended("ssrnet")` when ``None``.
        progress: called after every step and every epoch; before them while teachers look at the faces, with epoch 0.

    Raises:
        ValueError: stores that are cut differently or hold too few labelled faces, a setting that doesn't fit them, or
            a stopped run with other settings in `out`.
        DivergedError: the loss is no longer finite.
        FileExistsError: `out` already holds a finished run.
        OSError: another process trains in `out`, or the state there can't be read.
        KeyboardInterrupt: Ctrl-C was pressed, in this process or in another one of the same training; the state after
            the step was saved.
    """
    settings = settings or recommended("ssrnet")
    RunFolder(Path(out))  # refuses a finished run before anything is read
    prepare_backend(settings.deterministic)
    with replica_scope(settings.data_parallel) as replicas, device_scope(settings.device):
        return _train(stores, Path(out), settings, replicas, progress or no_progress)


def _train(
    stores: Sequence[Store],
    out: Path,
    settings: Settings,
    replicas: Replicas,
    progress: Callable[[TrainingProgress], None],
) -> RunResult:
    # Before anything else: where processes differ later, JAX reports an error of its own, or waits for ever.
    same = {name: value for name, value in asdict(settings).items() if name not in EXECUTION_SETTINGS}
    check_same(replicas, json.dumps([same, describe_data(stores)]))
    network = get_network(settings.model)
    writes = replicas.process == 0
    teaching = teacher_progress(progress if writes else no_progress, settings)
    predictions = TeacherPredictions(out / "teacher-predictions", writes, teaching, settings.workers)
    data = gather(stores, settings, network, replicas, predictions)
    keras.utils.set_random_seed(settings.seed)
    model = _build(data, settings)
    with single_device():
        export_model = network.build(input_size=data.spec.input_size, **settings.model_options)
    phases = list(plan_phases(model, network, settings))
    config = {
        "settings": asdict(settings),
        "spec": asdict(data.spec),
        "data": describe_data(stores),
        "stores": [str(store.path.absolute()) for store in stores],
        "faces": {"training": len(data.training), "validation": len(data.validation)},
        "untrained": data.untrained,
        "teachers": data.teachers,
        "parameters": model.count_params(),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "git": git_revision(),
    }
    run = RunFolder(out, writes)
    with folder_lock(out) if run.writes else nullcontext():
        run.begin(config)
        saved = SavedState(run.state) if run.state.exists() else None
        status = saved.status if saved else Status()
        check_same(replicas, json.dumps(asdict(status)))
        run.settle(status.best_epoch, status.rows)
        with interrupt_between_steps(replicas) as interrupt:
            epoch_end = EpochEnd(
                run,
                settings,
                data.batches.per_epoch,
                data.figures_on_validation if len(data.validation) else None,
                export_model,
                status,
                phases[-1].start,
                interrupt,
                progress if run.writes else no_progress,
            )
            for phase in phases:
                if status.epoch < phase.stop and not epoch_end.ends:
                    phase.apply(model)
                    compile_for(phase, model, data.objective, settings, data.batches.per_epoch)
                    _run_phase(phase, model, data.batches, settings, epoch_end, saved)
                    saved = None
        result = RunResult(run.path, run.model, status.rows, status.best_epoch, {}, untrained=data.untrained)
        return _finish(result, run, data, network, settings, config["git"]) if run.writes else result


def _build(data: TrainingData, settings: Settings) -> Any:
    network, spec = data.network, data.spec
    start = model_to_start_from(settings.weights)
    if start is not None or settings.weights.endswith(".keras"):
        with precision(settings.precision):
            model = network.build(input_size=spec.input_size, **settings.model_options)
        if start is None:
            return start_from(model, Path(settings.weights))
        return start_from_model_file(model, start.path, _some_faces(data, settings.seed))
    weights = {"weights": settings.weights} if settings.weights != "none" else {}
    if weights and not network.head_layers:
        raise ValueError(
            f"{network.name} has no trunk for weights to start from: weights must be none, or those of a whole model"
        )
    with precision(settings.precision):
        return network.build(input_size=spec.input_size, **settings.model_options, **weights)


def _some_faces(data: TrainingData, seed: int) -> npt.NDArray[np.float32]:
    """Some of the faces to learn from, as the network takes them, the same in each process of a training."""
    order = np.random.default_rng(seed).permutation(len(data.training))
    return preprocess(data.faces.chips(data.training[np.sort(order[:_TRAINING_SAMPLE])]), data.spec)


def _run_phase(
    phase: Phase,
    model: Any,
    batches: Batches,
    settings: Settings,
    epoch_end: EpochEnd,
    saved: SavedState | None,
) -> None:
    """Trains `model` to the end of `phase`, from the state `saved` on if there is one."""
    first, step = epoch_end.status.epoch, epoch_end.status.step
    if saved is not None:
        # At a phase's start, the saved optimizer is still that of the phase before.
        saved.restore(model, optimizer=(first, step) > (phase.start, 0))
    # Keras counts the batches of each epoch from 0: the rest of an interrupted epoch is a short epoch.
    spans = [(first, first + 1, step), (first + 1, phase.stop, 0)] if step else [(first, phase.stop, 0)]
    for start, stop, done in spans:
        if start == stop or epoch_end.ends:
            continue
        epoch_end.metrics_from = saved if done else None
        # A stream for each span: Keras takes more batches from a stream than it uses.
        with batches.stream(start * batches.per_epoch + done, settings.workers) as stream:
            model.fit(
                stream,
                initial_epoch=start,
                epochs=stop,
                steps_per_epoch=batches.per_epoch - done,
                shuffle=False,
                verbose=0,
                callbacks=[epoch_end, *_extra_callbacks(settings, epoch_end.run)],
            )


def _extra_callbacks(settings: Settings, run: RunFolder) -> Iterator[keras.callbacks.Callback]:
    if settings.tensorboard and run.writes:
        yield keras.callbacks.TensorBoard(str(run.path / "tensorboard"), write_graph=False)


def _heads(data: TrainingData, best: Any, figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The heads of the model file: those that learned nothing say so, and years have the size of their error."""
    heads = with_untrained(data.network.heads, data.untrained)
    if heads["age"]["decode"] == "years" and "age" not in data.untrained:
        std = figures["age_std"]
        if std is None:
            # The faces to validate on may have no ages where those to learn from have some.
            aged = data.training[~np.isnan(data.faces.labels.age_low[data.training])]
            std = data.figures(best, aged[:_TRAINING_SAMPLE])[0]["age_std"] if len(aged) else None
        heads["age"]["std"] = None if std is None else round(std, 2)
    return heads


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "bands" and value is not None}


def _finish(
    result: RunResult, run: RunFolder, data: TrainingData, network: Network, settings: Settings, git: str | None
) -> RunResult:
    """Measures the best weights and exports them."""
    rows, test_set = _test_set(data)
    labels = data.faces.labels[data.training]
    with single_device():
        best = keras.saving.load_model(run.checkpoints / "best.keras", compile=False)
        try:
            figures, _ = data.figures(best, rows)
        except FloatingPointError:
            raise DivergedError(result.best_epoch, settings.learning_rate) from None
        export_onnx(
            best,
            run.model,
            name=network.name,
            spec=data.spec,
            heads=_heads(data, best, figures),
            training={
                "data": [f"{store.name} ({len(store)} faces)" for store in data.faces.stores],
                "n": len(data.training),
                "n_age": int((~np.isnan(labels.age_low)).sum()),
                "n_gender": int((labels.gender >= 0).sum()),
                "model_options": dict(settings.model_options),
                "epochs": settings.epochs,
                "best_epoch": result.best_epoch,
                "seed": settings.seed,
                "git": git,
            },
            metrics=[{"test_set": test_set, **_flat(figures)}],
            licence=settings.licence,
        )
    run.finish()
    return replace(result, metrics=figures, test_set=test_set)


def _test_set(data: TrainingData) -> tuple[npt.NDArray[np.int64], str]:
    """The rows of faces that a finished model is measured on, and what a model file calls them."""
    if len(data.validation):
        return data.validation, "validation part of the training data"
    # Not held out, they show at least the order of magnitude of the error.
    rows, n = data.training[:_TRAINING_SAMPLE], len(data.training)
    return rows, f"training faces, none held out ({'all' if len(rows) == n else f'the first {len(rows)} of'} {n})"
