from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

# Trainings in processes of their own, each a fork of one that has imported the framework and not used it yet. One that
# is given a number of steps is killed after them, without any chance to tidy up.
FORKS = """
import json, os, signal, sys
from agegender_train import models
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.training import train

models.__path__.append(sys.argv[1])

def run(store, out, settings, steps):
    def count(now):
        nonlocal steps
        steps -= now.row is None
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    train([Store.open(store)], out, Settings(**settings), count)

for job in json.load(sys.stdin):
    child = os.fork()
    if not child:
        try:
            run(**job)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (-signal.SIGKILL if job["steps"] > 0 else 0), (job, code)
"""

TINY = {
    "model": "tiny",
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.01,
    "validation_fraction": 0.25,
    "ema": 0.5,
    "accumulate": 2,
    "seed": 4,
}


def train_in_forks(store: Any, jobs: list[tuple[Path, dict[str, Any], int]], backend: str) -> None:
    asked = [
        {"store": str(store.path), "out": str(out), "settings": settings, "steps": steps}
        for out, settings, steps in jobs
    ]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(Path(__file__).resolve().parents[2] / "networks")],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def arrays(checkpoint: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(checkpoint) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(note)
    return found


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "faces_per_second"} for row in csv.DictReader(file)]


def assert_equal_runs(one: Path, other: Path) -> None:
    assert history(one) == history(other)
    for name in ("best", "last"):
        before, after = (arrays(run / "checkpoints" / f"{name}.keras") for run in (one, other))
        assert before.keys() == after.keys()
        for path, value in before.items():
            np.testing.assert_array_equal(value, after[path], err_msg=f"{name}: {path}")
    assert (one / "model.onnx").read_bytes() == (other / "model.onnx").read_bytes()
    for run in (one, other):
        assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.keras", "last.keras"}


@pytest.mark.slow
def test_a_training_with_views_goes_on_exactly_and_another_one_asks_nobody(
    make_store: Any, tmp_path: Path, undecided_teacher: Path
) -> None:
    store = make_store(n=88)
    settings = {**TINY, "teachers": [str(undecided_teacher)], "teacher_views": 2, "deterministic": True, "epochs": 3}
    often = {**settings, "checkpoint_minutes": 0.0}
    runs = [tmp_path / folder / "run" for folder in ("whole", "killed")]
    # Three looks at all faces come first: as they are, and two views. The first kill is after the second of them.
    train_in_forks(
        store, [(runs[0], settings, -1), (runs[1], often, 2), (runs[1], often, 6), (runs[1], often, -1)], "tensorflow"
    )
    assert_equal_runs(*runs)
    kept = [sorted(path.relative_to(run) for path in run.glob("teacher-predictions/*/*")) for run in runs]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3
    # What lies beside a run is taken from there; were the teacher asked, it would keep its answers.
    train_in_forks(store, [(runs[0].with_name("beside"), settings, -1)], "tensorflow")
    assert_equal_runs(runs[0], runs[0].with_name("beside"))
    assert not runs[0].with_name("beside").joinpath("teacher-predictions").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "kills", "backend"),
    [
        pytest.param(TINY, (6,), "tensorflow", id="one-phase"),
        pytest.param({**TINY, "frozen_epochs": 1}, (2, 5), "tensorflow", id="two-phases"),
        pytest.param(TINY, (3,), "jax", id="jax"),
    ],
)
def test_a_killed_training_ends_as_if_it_had_not_been(
    make_store: Any, tmp_path: Path, settings: dict[str, Any], kills: tuple[int, ...], backend: str
) -> None:
    pytest.importorskip(backend)
    store = make_store(n=88)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = {**settings, "deterministic": True}
    # Progress is told before the state is kept: the step of the kill is done again.
    often = {**settings, "checkpoint_minutes": 0.0}
    train_in_forks(store, [(whole, settings, -1), *((killed, often, steps) for steps in (*kills, -1))], backend)
    assert_equal_runs(whole, killed)
