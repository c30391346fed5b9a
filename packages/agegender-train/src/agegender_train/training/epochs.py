"""What happens at the end of an epoch: validation, history, checkpoints and word to whoever waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from agegender_train.runs.folder import RunFolder
from agegender_train.runs.settings import Settings
from agegender_train.training.interrupts import Interrupt
from agegender_train.training.sharing import alone
from agegender_train.training.state import SavedState, Standing, save_state
from agegender_train.training.validation import exported_weights

_SHOWN = ("interval_mae", "middle_mae", "middle_bias", "age_mae", "group_accuracy", "gender_accuracy")
_LOSS_EVERY = 0.2
"""Seconds. To ask for the loss of a step is to wait for its end, and so to let a GPU wait for the next one."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands.

    Attributes:
        epoch: counted from 1.
        epochs: of the whole training.
        step: steps done in this epoch.
        steps: of an epoch.
        faces: faces a step.
        loss: mean training loss of this epoch so far; up to a fifth of a second old within an epoch.
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
    """Validates the averaged weights, writes history.csv, history.png and the checkpoints, and reports.

    It also keeps the state to go on from, and ends the training where it is to be.

    Args:
        run: the folder.
        settings: what is asked.
        steps: of an epoch.
        validate: figures and loss of a model on the validation faces; ``None`` where there are none.
        twin: a model like the one in training, as it is to be exported: on one device, in float32.
        standing: what was done before.
        last_phase: number of epochs before the last phase, from which on patience counts.
        interrupt: whether somebody wants it to stop.
        progress: who waits.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: Settings,
        steps: int,
        validate: Callable[[Any], tuple[dict[str, Any], float]] | None,
        twin: Any,
        standing: Standing,
        last_phase: int,
        interrupt: Interrupt,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        super().__init__()
        self.standing = standing
        self.run, self._settings, self._steps = run, settings, steps
        self._validate, self._twin, self._interrupt = validate, twin, interrupt
        self._progress = progress or (lambda _: None)
        self._last_phase = last_phase
        self.metrics_from: SavedState | None = None
        """Where the running means of the next epoch to begin go on from."""
        self._began = self._kept = self._looked = time.monotonic()
        self._loss = math.nan

    @property
    def ends(self) -> bool:
        """Whether training is to end because too many epochs of the last phase have brought nothing better."""
        since = max(self.standing.best_epoch, self._last_phase)
        return 0 < self._settings.patience <= self.standing.epoch - since

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock, or goes on with it."""
        now = time.monotonic()
        self._began, self._kept, self._looked = now - self.standing.seconds, now, 0.0
        if self.metrics_from is not None:
            self.metrics_from.restore_metrics(self.model)
            self.metrics_from = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Reports a step, and keeps the state from time to time."""
        now = time.monotonic()
        self.standing.step += 1
        if now - self._looked >= _LOSS_EVERY or self.standing.step == self._steps:
            self._loss = float((logs or {}).get("loss", math.nan))
            self._looked = now
        self._progress(self._at(self.standing.epoch + 1))
        # The last step's state is kept with what the end of the epoch makes of it.
        if self.standing.step < self._steps:
            due = now - self._kept >= self._settings.checkpoint_minutes * 60
            if due or self._interrupt.asked:
                self.standing.seconds, self._kept = now - self._began, now
                self._keep()
            self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Does what the class says."""
        logs = {} if logs is None else logs
        seconds = time.monotonic() - self._began
        self.standing.epoch, self.standing.step, self.standing.seconds = epoch + 1, 0, 0.0
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in logs.items()},
            "learning_rate": float(self.model.optimizer.learning_rate),
            "faces_per_second": round(self._steps * self._settings.batch_size / seconds, 1),
        }
        own, averaged = exported_weights(self.model, averaged=False), exported_weights(self.model)
        with alone():
            # Not after the state: whoever goes on from an older one writes it again.
            self._twin.set_weights(own)
            self.run.save_model("last", self._twin)
            self._twin.set_weights(averaged)
            if self._validate is not None:
                figures, loss = self._validate(self._twin)
                row |= {"val_loss": loss, **{f"val_{name}": figures[name] for name in _SHOWN}}
            if self._is_best(row):
                self.standing.best_epoch = epoch + 1
                self.run.save_model(self.run.best_of(epoch + 1), self._twin)
        self.standing.rows.append(row)
        self._keep()
        self.run.settle(self.standing.best_epoch, self.standing.rows)
        # For the callbacks after this one.
        logs.update({name: value for name, value in row.items() if name.startswith("val_") and value is not None})
        self._progress(self._at(epoch + 1, row))
        self._stop_if_asked()
        if self.ends:
            self.model.stop_training = True

    def _keep(self) -> None:
        if self.run.writes:
            save_state(self.run.state, self.standing, self.model)

    def _is_best(self, row: Mapping[str, Any]) -> bool:
        if self._validate is None:
            return True  # the last one
        by = self._settings.best_by
        value = row[by if by == "val_loss" else f"val_{by}"]
        value = math.nan if value is None else -value if by == "gender_accuracy" else value
        before = self.standing.best
        if before is None or math.isnan(before) or value < before:
            self.standing.best = value
            return True
        return False

    def _at(self, epoch: int, row: Mapping[str, Any] | None = None) -> TrainingProgress:
        step = self._steps if row else self.standing.step
        settings = self._settings
        return TrainingProgress(epoch, settings.epochs, step, self._steps, settings.batch_size, self._loss, row)

    def _stop_if_asked(self) -> None:
        if self._interrupt.asked:
            raise KeyboardInterrupt
