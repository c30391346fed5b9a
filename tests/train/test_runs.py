from __future__ import annotations

import csv
from pathlib import Path

import cv2
import pytest

from agegender_train import runs
from agegender_train.runs import RunFolder, git_revision, versions


def test_history_grows_row_by_row_and_is_drawn(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    rows = [{"epoch": i, "loss": 1 / i, "val_loss": None, "val_middle_mae": 9.0 - i} for i in (1, 2)]
    for number, row in enumerate(rows, 1):
        run.add_epoch(row)
        run.plot_history(rows[:number])
    with (run.path / "history.csv").open(newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["1.0", "0.5"]
    picture = cv2.imread(str(run.path / "history.png"))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert {path.name for path in run.path.iterdir()} == {"checkpoints", "history.csv", "history.png"}


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_config({"seed": 1})
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunFolder(tmp_path)


def test_versions_name_what_is_installed() -> None:
    found = versions()
    assert found["python"].startswith("3.")
    assert {"keras", "numpy", "onnx"} <= set(found)


def test_without_a_repository_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = git_revision()
    assert revision is None or len(revision.rstrip("+")) == 40
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "runs.py"))
    assert git_revision() is None
