"""What happens at the end of an epoch: validation, history, checkpoints and word to whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches import FaceSet
from agegender_train.metrics import Scores
from agegender_train.models import Network
from agegender_train.runs import RunFolder
from agegender_train.settings import Settings
from agegender_train.training.objective import Objective


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands.

    Attributes:
        epoch: counted from 1.
        epochs: of the whole training.
        step: steps done in this epoch.
        steps: of an epoch.
        faces: faces a step.
        loss: mean training loss of this epoch so far.
        row: the row of history.csv, at the end of an epoch; else ``None``.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    faces: int
    loss: float
    row: Mapping[str, Any] | None = None


class EpochEnd(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the averaged weights, writes history.csv, history.png and the checkpoints, and reports."""

    def __init__(
        self,
        run: RunFolder,
        network: Network,
        objective: Objective,
        faces: FaceSet,
        rows: npt.NDArray[np.int64],
        spec: PreprocessSpec,
        settings: Settings,
        steps: int,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        super().__init__()
        self._run, self._network, self._objective = run, network, objective
        self._faces, self._rows = faces, rows
        self._spec, self._settings, self._steps = spec, settings, steps
        self._progress = progress or (lambda _: None)
        self._epoch, self._started = 0, 0.0
        self._lowest = np.inf
        self.history_rows: list[dict[str, Any]] = []
        self.best_epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._epoch, self._started = epoch + 1, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Reports a step."""
        self._progress(self._at(batch + 1, logs or {}))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Does what the class says."""
        logs = logs or {}
        seconds = time.perf_counter() - self._started
        self._save("last")
        row: dict[str, Any] = {
            "epoch": self._epoch,
            **{name: float(value) for name, value in logs.items()},
            "learning_rate": float(self.model.optimizer.learning_rate),
            "faces_per_second": round(self._steps * self._settings.batch_size / seconds, 1),
        }
        with averaged_weights(self.model):
            lowest = self._lowest
            if len(self._rows):
                figures, loss = validate(
                    self.model,
                    self._network,
                    self._objective,
                    self._faces,
                    self._rows,
                    self._spec,
                    self._settings.batch_size,
                )
                names = ("interval_mae", "middle_mae", "middle_bias", "age_mae", "group_accuracy", "gender_accuracy")
                row |= {"val_loss": loss, **{f"val_{name}": figures[name] for name in names}}
                self._lowest = min(loss, lowest)
            if self._lowest < lowest or not len(self._rows) or not self.best_epoch:
                self.best_epoch = self._epoch
                self._save("best")
        self.history_rows.append(row)
        self._run.add_epoch(row)
        self._run.plot_history(self.history_rows)
        self._progress(self._at(self._steps, logs, row))

    def _at(self, step: int, logs: Mapping[str, Any], row: Mapping[str, Any] | None = None) -> TrainingProgress:
        loss = float(logs.get("loss", np.nan))
        settings = self._settings
        return TrainingProgress(self._epoch, settings.epochs, step, self._steps, settings.batch_size, loss, row)

    def _save(self, name: str) -> None:
        temporary: Path = self._run.checkpoints / f".{name}.tmp.keras"
        self.model.save(temporary)
        temporary.replace(self._run.checkpoints / f"{name}.keras")


@contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Within it, the model's weights are their running averages, where its optimizer keeps such."""
    optimizer = model.optimizer
    if not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    # Copies: JAX gives the memory of a model's variables away in a step, and it must not be that of the averages.
    own = [np.array(np.asarray(variable)) for variable in variables]
    for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
        variable.assign(np.array(np.asarray(average)))
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)


def validate(
    model: Any,
    network: Network,
    objective: Objective,
    faces: FaceSet,
    rows: npt.NDArray[np.int64],
    spec: PreprocessSpec,
    batch_size: int,
) -> tuple[dict[str, Any], float]:
    """Figures (see `metrics.Scores.compute`) and loss of a model on faces as they are, without augmentation."""
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in objective.outputs.values()}
    for start in range(0, len(rows), batch_size):
        outputs = model.predict_on_batch(preprocess(faces.chips(rows[start : start + batch_size]), spec))
        for name, values in parts.items():
            values.append(np.asarray(outputs[name], np.float32))
    predicted = {name: np.concatenate(values) for name, values in parts.items()}
    labels = faces.labels[rows]
    age, p_male = network.decode(predicted)
    return Scores.from_batch(age, np.clip(p_male, 0, 1), labels).compute(), objective.value(predicted, labels)
