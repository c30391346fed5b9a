from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agegender_train.files import folder_lock, is_locked
from agegender_train.runs.table import NoRunError, differences, find_runs, read_run, run_table

ROW = {"loss": 2.0, "faces_per_second": 100.0, "val_loss": 1.5, "val_middle_mae": 8.0, "val_gender_accuracy": 0.7}


def make_run(folder: Path, rows: Sequence[dict[str, Any]] = ({},), finished: bool = True, **settings: Any) -> Path:
    """A run's folder with these changes of `ROW` as its epochs."""
    (folder / "checkpoints").mkdir(parents=True)
    config = {
        "settings": {"model": "ssrnet", "epochs": 3, "batch_size": 128, **settings},
        "data": [{"name": "made", "faces": 100, "fingerprint": "0"}],
        "faces": {"training": 90, "validation": 10},
        "backend": "tensorflow",
    }
    (folder / "config.json").write_text(json.dumps(config))
    if rows:
        with (folder / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *ROW])
            writer.writeheader()
            writer.writerows({"epoch": epoch, **ROW, **row} for epoch, row in enumerate(rows, 1))
    if finished:
        (folder / "model.onnx").touch()
    return folder


def test_a_run_is_a_row(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"faces_per_second": 10.0},
        {"val_loss": 1.25, "val_middle_mae": 7.0, "val_gender_accuracy": ""},
        {"val_loss": 1.25},
    ]
    run = read_run(make_run(tmp_path / "run", rows))
    assert run.summary() == {
        "run": str(tmp_path / "run"),
        "network": "ssrnet",
        "data": ["made"],
        "n_training": 90,
        "n_validation": 10,
        "epochs": 3,
        "epochs_asked": 3,
        "best_epoch": 2,
        "val_loss": 1.25,
        "age_mae": None,
        "interval_mae": None,
        "middle_mae": 7.0,
        "middle_bias": None,
        "group_accuracy": None,
        "gender_accuracy": None,
        "faces_per_second": 100.0,
        "state": "finished",
    }


@pytest.mark.parametrize(
    ("best_by", "best"), [("val_loss", 2), ("middle_mae", 3), ("gender_accuracy", 1), ("age_mae", 4)]
)
def test_the_best_epoch_is_that_of_best_by(tmp_path: Path, best_by: str, best: int) -> None:
    rows: list[dict[str, Any]] = [
        {"val_loss": "nan", "val_gender_accuracy": 0.9},
        {"val_loss": 1.0},
        {"val_middle_mae": 1.0},
        {},
    ]
    summary = read_run(make_run(tmp_path / "run", rows, best_by=best_by)).summary()
    assert summary["best_epoch"] == best


def test_states(tmp_path: Path) -> None:
    assert read_run(make_run(tmp_path / "done")).state == "finished"
    new = read_run(make_run(tmp_path / "new", [], finished=False))
    assert (new.state, new.best, new.summary()["best_epoch"]) == ("stopped", None, None)
    # A run whose state to go on from is still there didn't come to the end of its export.
    stopped = make_run(tmp_path / "stopped")
    (stopped / "checkpoints" / "state.npz").touch()
    assert read_run(stopped).state == "stopped"
    with folder_lock(stopped):
        assert read_run(stopped).state == "running"
        assert is_locked(stopped)
        with pytest.raises(OSError, match="another process"), folder_lock(stopped):
            pass
    assert read_run(stopped).state == "stopped"


def test_a_row_that_is_being_written_does_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [{}, {}], finished=False)
    history = run / "history.csv"
    history.write_text(history.read_text()[:-25])
    assert len(read_run(run).history) == 1


def test_runs_are_found_at_any_depth_and_no_other_folders(tmp_path: Path) -> None:
    places = [make_run(tmp_path / name) for name in ("b", "a/fold-1", "a/fold-0")]
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "config.json").write_text("{}")
    assert find_runs([tmp_path]) == [places[2], places[1], places[0]]
    assert find_runs([places[0], tmp_path]) == [places[0], places[2], places[1]]
    assert find_runs([tmp_path / "keras"]) == [tmp_path / "keras"]  # what is wrong with it, read_run says
    with pytest.raises(NoRunError, match="is no folder"):
        find_runs([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoRunError, match="empty holds no run"):
        find_runs([tmp_path / "empty"])


def test_damaged_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match=r"has no config\.json"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(NoRunError, match="is no JSON"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text('{"settings": {}}')
    with pytest.raises(NoRunError, match="must have settings, faces and data"):
        read_run(tmp_path)
    run = make_run(tmp_path / "run")
    (run / "history.csv").write_text("epoch,loss\n1,much\n")
    with pytest.raises(NoRunError, match=r"history\.csv is damaged"):
        read_run(run)


def test_settings_that_differ(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {"model_options": {"width": 2}, "seed": 1},
        {"augmentation": {"flip": 0.0}, "epochs": 9},
        {"batch_size": 64, "age_pull": 1.0},
    ]
    runs = [read_run(make_run(tmp_path / str(number), **asked)) for number, asked in enumerate(options)]
    found = differences(runs)
    assert {name: value for name, value in found[0].items() if "augmentation" not in name} == {
        "model_options.width": 2,
        "batch_size": 128,
        "seed": 1,
        "age_pull": None,
    }
    assert found[1]["augmentation.flip"] == 0.0
    assert found[0]["augmentation.flip"] == 0.5
    assert (found[2]["batch_size"], found[2]["seed"], found[2]["age_pull"]) == (64, 0, 1.0)
    assert differences(runs[:1]) == [{}]
    assert differences([]) == []


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("run", "abc"),
        ("val_loss", "bac"),
        ("middle_mae", "cab"),
        ("gender_accuracy", "acb"),
        ("faces_per_second", "bac"),
        ("epochs", "cab"),
        ("middle_bias", "abc"),
    ],
)
def test_the_best_comes_first_and_the_unknown_last(tmp_path: Path, sort: str, order: str) -> None:
    make_run(tmp_path / "a", [{}])
    best = {"val_loss": 1.0, "faces_per_second": 300, "val_middle_mae": 9.0, "val_gender_accuracy": 0.1}
    make_run(tmp_path / "b", [best])
    make_run(tmp_path / "c", [{"val_loss": "inf", "val_middle_mae": 3.0, "val_gender_accuracy": 0.2}] * 2)
    if sort == "faces_per_second":
        make_run(tmp_path / "d", [])
        order += "d"
    rows = run_table([read_run(folder) for folder in find_runs([tmp_path])], sort)
    assert "".join(Path(row["run"]).name for row in rows) == order
    with pytest.raises(ValueError, match=r"sort must be one of val_loss, .*, run, got 'hair'"):
        run_table([], "hair")


def test_it_imports_no_framework() -> None:
    program = (
        "import sys, agegender_train.runs.table as _; print(sorted({'keras', 'tensorflow', 'jax'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
