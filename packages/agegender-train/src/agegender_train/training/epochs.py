"""What happens after a step and after an epoch: validation, history, checkpoints, progress reports, and a stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import keras
import numpy as np

from agegender_train.files import no_progress
from agegender_train.runs.folder import RunFolder
from agegender_train.runs.settings import Settings
from agegender_train.training.devices import AnyProcess, Replicas, single_device
from agegender_train.training.state import SavedState, Status, save_state
from agegender_train.training.validation import exported_weights

_SHOWN = ("interval_mae", "middle_mae", "middle_bias", "age_mae", "group_accuracy", "gender_accuracy")
_LOSS_EVERY = 0.2
"""Seconds. Asking for the loss of a step means to wait for its end, and leaves a GPU without work meanwhile."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Attributes:
        epoch: number of the epoch, from 1; 0 while teachers look at the faces: step and steps are faces then.
        epochs: of the whole training.
        step: steps done in this epoch.
        steps: in an epoch.
        faces: in a step.
        loss: mean training loss of this epoch so far; within an epoch up to 0.2 s old.
        row: at the end of an epoch its row of history.csv; else ``None``.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    faces: int
    loss: float
    row: Mapping[str, Any] | None = None


def teacher_progress(progress: Callable[[TrainingProgress], None], settings: Settings) -> Callable[[int, int], None]:
    """What tells `progress` how many faces the teachers have looked at."""
    return lambda done, total: progress(TrainingProgress(0, settings.epochs, done, total, 1, math.nan))


class DivergedError(ValueError):
    """A training whose loss or answers are no longer finite: it can't get better.

    Args:
        epoch: number of the epoch, from 1.
        learning_rate: the highest one of the training.
    """

    def __init__(self, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"the training has diverged in epoch {epoch}: its loss is no longer finite, with a learning rate "
            f"of up to {learning_rate:g}"
        )
        smaller = min(learning_rate / 10, Settings.learning_rate)
        self.add_note(f"try a smaller one, such as --learning-rate {smaller:g}, and another --output")


class Interrupt:
    """A request to stop the training, such as Ctrl-C, to any of its processes.

    Attributes:
        asked: whether this process was asked.
    """

    def __init__(self, replicas: Replicas) -> None:
        self.asked = False
        self._any_process = AnyProcess(replicas)

    def agreed(self) -> bool:
        """Whether to stop now. Called after the same steps in all processes, it gives all of them the same answer.

        With several processes the answer comes one call late; otherwise one process would stop, and the others would
        wait for it in the next step.
        """
        return self._any_process(self.asked)


@contextmanager
def interrupt_between_steps(replicas: Replicas) -> Iterator[Interrupt]:
    """A context in which the first Ctrl-C waits for the end of the step, so that the state is saved.

    The second one stops this process at once; other processes wait for it until JAX misses it, which takes minutes. A
    program's own handler is left alone, and outside of the main thread nothing is done.
    """
    interrupt = Interrupt(replicas)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            signal.default_int_handler(number, frame)
        interrupt.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class EpochEnd(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the averaged weights, writes history.csv, history.png and the checkpoints, and reports progress.

    It also saves the state to resume from, and ends the training when it is interrupted or out of patience.

    Args:
        run: the folder.
        settings: of the training.
        steps: in an epoch.
        validate: gives metrics and loss of a model on the validation faces; ``None`` where there are none.
        export_model: a model with the weights of the one in training, on one device, in float32.
        status: how far the training is.
        last_phase: number of epochs before the last phase, from which on patience counts.
        interrupt: a request to stop.
        progress: called after each step and each epoch.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: Settings,
        steps: int,
        validate: Callable[[Any], tuple[dict[str, Any], float]] | None,
        export_model: Any,
        status: Status,
        last_phase: int,
        interrupt: Interrupt,
        progress: Callable[[TrainingProgress], None] = no_progress,
    ) -> None:
        super().__init__()
        self.status = status
        self.run, self._settings, self._steps = run, settings, steps
        self._validate, self._export_model, self._interrupt = validate, export_model, interrupt
        self._progress = progress
        self._last_phase = last_phase
        self.metrics_from: SavedState | None = None
        """The saved state whose running means the next epoch goes on from."""
        self._began = self._saved = self._looked = time.monotonic()
        self._loss = math.nan

    @property
    def ends(self) -> bool:
        """Whether patience is at its end: too many epochs of the last phase without a better one."""
        since = max(self.status.best_epoch, self._last_phase)
        return 0 < self._settings.patience <= self.status.epoch - since

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock, or goes on with that of an interrupted epoch."""
        now = time.monotonic()
        self._began, self._saved, self._looked = now - self.status.seconds, now, 0.0
        if self.metrics_from is not None:
            self.metrics_from.restore_metrics(self.model)
            self.metrics_from = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Reports a step, saves the state from time to time, and stops if asked to, or if the training diverges."""
        now = time.monotonic()
        self.status.step += 1
        if now - self._looked >= _LOSS_EVERY or self.status.step == self._steps:
            self._loss = float((logs or {}).get("loss", math.nan))
            self._looked = now
            if not math.isfinite(self._loss):
                raise DivergedError(self.status.epoch + 1, self._settings.learning_rate)
        self._progress(self._at(self.status.epoch + 1))
        # The state after the last step is saved at the end of the epoch, with its validation.
        if self.status.step < self._steps:
            stop = self._interrupt.agreed()
            if stop or now - self._saved >= self._settings.checkpoint_minutes * 60:
                self.status.seconds, self._saved = now - self._began, now
                self._save()
            if stop:
                raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates, writes the run's files, reports, and stops if asked to."""
        logs = {} if logs is None else logs
        seconds = time.monotonic() - self._began
        self.status.epoch, self.status.step, self.status.seconds = epoch + 1, 0, 0.0
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in logs.items()},
            "learning_rate": float(self.model.optimizer.learning_rate),
            "faces_per_second": round(self._steps * self._settings.batch_size / seconds, 1),
        }
        own, averaged = exported_weights(self.model, averaged=False), exported_weights(self.model)
        with single_device():
            # Before the state is saved: a training that resumes from an older state writes it again.
            self._export_model.set_weights(own)
            self.run.save_model("last", self._export_model)
            self._export_model.set_weights(averaged)
            if not all(np.isfinite(weights).all() for weights in averaged):
                raise DivergedError(epoch + 1, self._settings.learning_rate)
            if self._validate is not None:
                try:
                    figures, loss = self._validate(self._export_model)
                except FloatingPointError:
                    raise DivergedError(epoch + 1, self._settings.learning_rate) from None
                row |= {"val_loss": loss, **{f"val_{name}": figures[name] for name in _SHOWN}}
            if self._is_best(row):
                self.status.best_epoch = epoch + 1
                self.run.save_model(self.run.best_of(epoch + 1), self._export_model)
        self.status.rows.append(row)
        self._save()
        self.run.settle(self.status.best_epoch, self.status.rows)
        # For the callbacks after this one.
        logs.update({name: value for name, value in row.items() if name.startswith("val_") and value is not None})
        self._progress(self._at(epoch + 1, row))
        if self._interrupt.agreed():
            raise KeyboardInterrupt
        if self.ends:
            self.model.stop_training = True

    def _save(self) -> None:
        if self.run.writes:
            save_state(self.run.state, self.status, self.model)

    def _is_best(self, row: Mapping[str, Any]) -> bool:
        if self._validate is None:
            return True  # the last one
        by = self._settings.best_by
        value = row[by if by == "val_loss" else f"val_{by}"]
        value = math.nan if value is None else -value if by == "gender_accuracy" else value
        before = self.status.best
        if before is None or math.isnan(before) or value < before:
            self.status.best = value
            return True
        return False

    def _at(self, epoch: int, row: Mapping[str, Any] | None = None) -> TrainingProgress:
        step = self._steps if row else self.status.step
        settings = self._settings
        return TrainingProgress(epoch, settings.epochs, step, self._steps, settings.batch_size, self._loss, row)
