from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from agegender_core.predict import load_predictor
from agegender_train.runs.settings import Settings
from agegender_train.training import train
from agegender_train.training.devices import AnyProcess, Replicas
from agegender_train.training.state import SavedState

NETWORKS = Path(__file__).resolve().parents[2] / "networks"
TRAIN = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell of the tests does with it
from agegender_train import models
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.training import train
models.__path__.append(sys.argv[4])
train([Store.open(sys.argv[1])], sys.argv[2], Settings(**json.loads(sys.argv[3])))
"""

SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "validation_fraction": 0.25,
    "ema": 0.5,
}


def start(store: Any, out: Path, settings: dict[str, Any], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(store.path), str(out), json.dumps(settings), str(NETWORKS)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(store: Any, out: Path, settings: dict[str, Any]) -> list[subprocess.Popen[str]]:
    """One data-parallel training in two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    return [
        start(store, out, {**settings, "data_parallel": True}, **together, KERAS_DISTRIBUTION_PROCESS_ID=number)
        for number in "01"
    ]


def weights(checkpoint: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(checkpoint) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(note)
    return found


def losses(run: Path) -> list[float]:
    with (run / "history.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) for name in ("loss", "val_loss")]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_whole_batch(make_store: Any, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    store, one, two = make_store(n=64), tmp_path / "one", tmp_path / "two"
    processes = [start(store, one, SETTINGS), *start_two(store, two, SETTINGS)]
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]

    np.testing.assert_allclose(losses(one), losses(two), rtol=1e-4)
    for name in ("best", "last"):
        single, shared = (weights(run / "checkpoints" / f"{name}.keras") for run in (one, two))
        assert single.keys() == shared.keys()
        for path, value in single.items():
            np.testing.assert_allclose(shared[path], value, atol=2e-5, err_msg=f"{name}: {path}")
    chips = store.decode(np.arange(16))
    single_age, shared_age = (load_predictor(run / "model.onnx").predict_chips(chips).age for run in (one, two))
    np.testing.assert_allclose(single_age, shared_age, atol=0.02)


@pytest.mark.slow
def test_ctrl_c_to_one_process_stops_all_after_the_same_step(make_store: Any, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    store, out = make_store(n=64), tmp_path / "run"
    settings = {**SETTINGS, "epochs": 5000, "checkpoint_minutes": 0.0}
    processes = start_two(store, out, settings)
    try:
        deadline = time.monotonic() + 600
        while not (out / "checkpoints" / "last.keras").exists():
            assert time.monotonic() < deadline
            assert all(process.poll() is None for process in processes)
            time.sleep(0.1)
        processes[1].send_signal(signal.SIGINT)  # the one that doesn't write the folder
        for process in processes:
            _, errors = process.communicate(timeout=100)
            assert process.returncode == -signal.SIGINT, errors[-3000:]
            assert "KeyboardInterrupt" in errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    saved = SavedState(out / "checkpoints" / "state.npz").status
    assert saved.epoch > 0
    assert len(saved.rows) == saved.epoch < 5000


def test_a_single_process_answers_for_itself() -> None:
    flag = AnyProcess(Replicas())
    assert [flag(value) for value in (False, True, False)] == [False, True, False]


def test_only_jax_shares_batches_out(make_store: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data_parallel needs KERAS_BACKEND=jax, and the backend is tensorflow"):
        train([make_store(n=20)], tmp_path / "run", Settings(batch_size=16, data_parallel=True))
    assert not (tmp_path / "run").exists()


def test_replicas_take_all_devices() -> None:
    with pytest.raises(ValueError, match="data_parallel takes all devices: device must be auto, got 'cpu'"):
        Settings(data_parallel=True, device="cpu")
