from __future__ import annotations

import csv
import math
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_train.runs.folder import RunFolder
from agegender_train.runs.settings import Settings
from agegender_train.training.devices import Replicas
from agegender_train.training.epochs import EpochEnd, Interrupt, TrainingProgress, interrupt_between_steps
from agegender_train.training.state import SavedState, Status

NAMES = ("interval_mae", "middle_mae", "middle_bias", "age_mae", "group_accuracy", "gender_accuracy")


def small_model() -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


class Training:
    """Epochs of two steps each without a network worth the name; validation gives the figures at hand."""

    def __init__(self, out: Path, settings: Settings, figures: list[float] | None, last_phase: int = 0) -> None:
        self.run = RunFolder(out)
        empty: dict[str, Any] = {"data": [], "faces": {}, "spec": {}, "parameters": 3, "backend": "b"}
        self.run.begin({"settings": asdict(settings), **empty})
        self.status = SavedState(self.run.state).status if self.run.state.exists() else Status()
        self.run.settle(self.status.best_epoch, self.status.rows)
        self.heard: list[TrainingProgress] = []
        self.interrupt = Interrupt(Replicas())
        self.model = small_model()
        by = settings.best_by

        def validate(_: Any) -> tuple[dict[str, Any], float]:
            value = figures[self.status.epoch - 1] if figures else math.nan
            found = {name: value if name == by else None for name in NAMES}
            return found, value if by == "val_loss" else 0.0

        self.end = EpochEnd(
            self.run,
            settings,
            2,
            None if figures is None else validate,
            small_model(),
            self.status,
            last_phase,
            self.interrupt,
            self.heard.append,
        )
        self.end.set_model(self.model)

    def epoch(self) -> None:
        number = self.status.epoch
        self.end.on_epoch_begin(number)
        for step in range(2):
            self.model.set_weights([np.full((2, 1), number + step / 2), np.zeros(1)])
            self.end.on_train_batch_end(step, {"loss": 1.0})
        self.end.on_epoch_end(number, {"loss": 1.0})

    def weight_of(self, name: str) -> float:
        model = keras.saving.load_model(self.run.checkpoints / f"{name}.keras", compile=False)
        return float(model.get_weights()[0][0, 0])


def ask(**asked: Any) -> Settings:
    return Settings(epochs=9, ema=0.0, **asked)


@pytest.mark.parametrize(
    ("asked", "figures", "best"),
    [
        ({}, [3.0, 1.0, 2.0], 2),
        ({}, [math.nan, 5.0, math.nan], 2),
        ({"best_by": "gender_accuracy"}, [0.3, 0.5, 0.4], 2),
        ({"best_by": "age_mae"}, [3.0, 2.0, 2.0], 2),
        ({}, None, 3),
    ],
)
def test_the_best_epoch_is_kept(tmp_path: Path, asked: dict[str, Any], figures: list[float] | None, best: int) -> None:
    training = Training(tmp_path, ask(**asked), figures)
    for _ in range(3):
        training.epoch()
    assert training.status.best_epoch == best
    assert training.weight_of("best") == best - 0.5
    assert training.weight_of("last") == 2.5
    assert [row["epoch"] for row in training.status.rows] == [1, 2, 3]


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(tmp_path: Path) -> None:
    training = Training(tmp_path, ask(patience=2), [3.0, 1.0, 2.0, 1.5, 0.5])
    ends = []
    for _ in range(4):
        training.model.stop_training = False
        training.epoch()
        ends.append((training.end.ends, training.model.stop_training))
    assert ends == [(False, False)] * 3 + [(True, True)]
    assert Training(tmp_path, ask(patience=2), []).end.ends, "one who goes on knows that it is over"


def test_patience_counts_no_epoch_of_the_first_phase(tmp_path: Path) -> None:
    training = Training(tmp_path, ask(patience=1, frozen_epochs=3), [1.0, 2.0, 2.0, 2.0], last_phase=3)
    ends = []
    for _ in range(4):
        training.epoch()
        ends.append(training.end.ends)
    assert ends == [False, False, False, True]


@pytest.mark.slow
def test_a_row_is_written_once_wherever_the_process_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ask(checkpoint_minutes=0.0)
    training = Training(tmp_path, settings, [3.0, 1.0])
    training.epoch()

    class KilledError(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    # Each in turn is the moment of the kill: before, while and after the state of the second epoch is kept.
    for owner, name in ((RunFolder, "save_model"), (Training, "nothing"), (RunFolder, "settle")):
        again = Training(tmp_path, settings, [3.0, 1.0])
        again.status.epoch, again.status.step = 1, 0
        del again.status.rows[1:]
        with monkeypatch.context() as patch:
            if name == "nothing":
                patch.setattr("agegender_train.training.epochs.save_state", killed)
            else:
                patch.setattr(owner, name, killed)
            with pytest.raises(KilledError):
                again.epoch()
        after = Training(tmp_path, settings, [3.0, 1.0])
        with (tmp_path / "history.csv").open(newline="") as file:
            epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
        assert epochs == list(range(1, after.status.epoch + 1))
        assert after.weight_of("best") == after.status.best_epoch - 0.5
    assert (after.status.epoch, after.status.best_epoch) == (2, 2)


def test_ctrl_c_waits_for_the_step_and_keeps_its_state(tmp_path: Path) -> None:
    training = Training(tmp_path, ask(), [1.0])
    training.end.on_epoch_begin(0)
    training.interrupt.asked = True
    with pytest.raises(KeyboardInterrupt):
        training.end.on_train_batch_end(0, {"loss": 1.0})
    status = SavedState(training.run.state).status
    assert (status.epoch, status.step) == (0, 1)


def test_a_state_is_kept_every_so_many_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(tmp_path, ask(checkpoint_minutes=10), [1.0])
    clock = 0.0
    monkeypatch.setattr("agegender_train.training.epochs.time.monotonic", lambda: clock)
    training.end.on_epoch_begin(0)
    clock = 599.0
    training.end.on_train_batch_end(0, {"loss": 1.0})
    assert not training.run.state.exists()
    training.status.step = 0
    clock = 600.0
    training.end.on_train_batch_end(0, {"loss": 1.0})
    assert SavedState(training.run.state).status.seconds == 600


def test_the_first_ctrl_c_is_noted_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interrupt_between_steps(Replicas()) as interrupt:
            assert not interrupt.asked
            # What Python calls for a signal; a real one that comes a moment late would end the run of the tests.
            ctrl_c = signal.getsignal(signal.SIGINT)
            assert callable(ctrl_c)
            ctrl_c(signal.SIGINT, None)
            assert interrupt.asked
            with pytest.raises(KeyboardInterrupt):
                ctrl_c(signal.SIGINT, None)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupt_between_steps(Replicas()):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "a program's own choice is left alone"
    finally:
        signal.signal(signal.SIGINT, before)
