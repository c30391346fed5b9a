from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_train.training.state import SavedState, Status, save_state


def small_model(units: int = 2, momentum: float = 0.5) -> Any:
    layers = [
        keras.Input((3,)),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(units),
        keras.layers.BatchNormalization(),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=momentum), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def step(model: Any, number: int) -> None:
    rng = np.random.default_rng(number)
    faces = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
    model.fit(faces, np.ones((4, 2), np.float32), steps_per_epoch=1, shuffle=False, verbose=0)


def everything(model: Any) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]


def test_a_restored_model_takes_the_steps_that_the_first_would_have_taken(tmp_path: Path) -> None:
    first, second, path = small_model(), small_model(), tmp_path / "state.npz"
    for number in range(3):
        step(first, number)
    status = Status(2, 5, 1.5, 0.25, 1, [{"epoch": 1, "loss": 0.1 + 0.2, "val_loss": None}])
    save_state(path, status, first)
    saved = SavedState(path)
    assert saved.status == status
    saved.restore(second)
    for number in range(3, 6):
        step(first, number)
        step(second, number)
    # Weights, moments, averages, count of steps, moving means and the state of dropout's chance.
    assert len(everything(first)) > 12
    for one, other in zip(everything(first), everything(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_running_means_go_on(tmp_path: Path) -> None:
    first, second, path = small_model(), small_model(), tmp_path / "state.npz"
    step(first, 0)
    save_state(path, Status(), first)
    step(second, 1)
    SavedState(path).restore_metrics(second)
    assert [float(metric.result()) for metric in second.metrics] == [float(metric.result()) for metric in first.metrics]


def test_a_state_is_whole_or_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = small_model(), tmp_path / "state.npz"
    save_state(path, Status(epoch=1), model)

    def full(file: Any, **_: Any) -> None:
        file.write(b"PK half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        save_state(path, Status(epoch=2), model)
    assert SavedState(path).status.epoch == 1


@pytest.mark.parametrize("content", [b"", b"PK half of it", None])
def test_what_is_no_state_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.npz"
    save_state(path, Status(), small_model())
    path.write_bytes(path.read_bytes()[:900] if content is None else content)
    with pytest.raises(OSError, match=r"state\.npz doesn't hold the state of a training"):
        SavedState(path)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    save_state(path, Status(), small_model(units=3))
    with pytest.raises(OSError, match=r"state\.npz holds the state of another model"):
        SavedState(path).restore(small_model())
