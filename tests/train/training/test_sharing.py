from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from agegender_core.predict import load_predictor
from agegender_train.runs.settings import Settings
from agegender_train.training import train

TRAIN = """
import json, sys
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.training import train
train([Store.open(sys.argv[1])], sys.argv[2], Settings(**json.loads(sys.argv[3])))
"""

SETTINGS: dict[str, Any] = {
    "model_options": {"width": 0.25},
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "validation_fraction": 0.25,
    "ema": 0.5,
}


def start(store: Any, out: Path, settings: dict[str, Any], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(store.path), str(out), json.dumps(settings)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    crew = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    processes = [start(store, one, SETTINGS)]
    for number in "01":
        alike = {**SETTINGS, "data_parallel": True}
        processes.append(start(store, two, alike, **crew, KERAS_DISTRIBUTION_PROCESS_ID=number))
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]

    np.testing.assert_allclose(losses(one), losses(two), rtol=1e-4)
    for name in ("best", "last"):
        alone, shared = (weights(run / "checkpoints" / f"{name}.keras") for run in (one, two))
        assert alone.keys() == shared.keys()
        for path, value in alone.items():
            # What batch normalisation takes away at once has no gradient but what is left of rounding, and Adam makes
            # whole steps of it: the bias before it, and so the mean that it remembers.
            free_to_drift = ("conv2d" in path and path.endswith("vars/1")) or (
                "batch_normalization" in path and path.endswith("vars/2")
            )
            tolerance = 5e-3 if free_to_drift else 2e-5
            np.testing.assert_allclose(shared[path], value, atol=tolerance, err_msg=f"{name}: {path}")
    chips = store.decode(np.arange(16))
    alone_age, shared_age = (load_predictor(run / "model.onnx").predict_chips(chips).age for run in (one, two))
    np.testing.assert_allclose(alone_age, shared_age, atol=0.02)


def test_only_jax_shares_batches_out(make_store: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data_parallel needs KERAS_BACKEND=jax, and the backend is tensorflow"):
        train([make_store(n=20)], tmp_path / "run", Settings(batch_size=16, data_parallel=True))
    assert not (tmp_path / "run").exists()


def test_a_crew_takes_all_devices() -> None:
    with pytest.raises(ValueError, match="data_parallel takes all devices: device must be auto, got 'cpu'"):
        Settings(data_parallel=True, device="cpu")
