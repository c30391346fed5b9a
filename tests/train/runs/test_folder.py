from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from agegender_train.batches.augmentation import Augmentation
from agegender_train.runs import folder as runs
from agegender_train.runs.folder import RunFolder, git_revision, versions
from agegender_train.runs.settings import Settings


class Model:
    def __init__(self, content: str) -> None:
        self.content = content

    def save(self, path: Path) -> None:
        path.write_text(self.content)


def config(settings: Settings | None = None, **other: Any) -> dict[str, Any]:
    base = {"data": [{"name": "made", "faces": 9}], "faces": {}, "spec": {}, "parameters": 3, "backend": "tensorflow"}
    return {"settings": asdict(settings or Settings()), **base, **other}


def test_history_grows_row_by_row_and_is_drawn(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.begin(config())
    rows = [{"epoch": i, "loss": 1 / i, "val_loss": None, "val_middle_mae": 9.0 - i} for i in (1, 2)]
    for number in (1, 2):
        run.settle(0, rows[:number])
    with (run.path / "history.csv").open(newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["1.0", "0.5"]
    picture = cv2.imread(str(run.path / "history.png"))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert {path.name for path in run.path.iterdir()} == {"config.json", "checkpoints", "history.csv", "history.png"}


def test_a_finished_run_is_never_overwritten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.begin(config())
    run.state.touch()
    run.model.touch()
    RunFolder(tmp_path).begin(config())  # killed while the model was written
    run.finish()
    for again in (lambda: RunFolder(tmp_path), lambda: run.begin(config())):
        with pytest.raises(FileExistsError, match="already holds a run"):
            again()


def test_a_stopped_run_goes_on_only_as_the_same(tmp_path: Path) -> None:
    run, asked = RunFolder(tmp_path), Settings(model_options={"width": 2}, step_epochs=(3, 6))
    run.begin(config(asked))
    run.begin(config(replace(asked, workers=7, checkpoint_minutes=1.0), versions={"keras": "4"}, git="abc"))
    for other, message in (
        (config(replace(asked, learning_rate=0.5)), r"stopped run with learning_rate 0.004, not 0.5: ask for the same"),
        (config(replace(asked, model="vgg", seed=1)), "with model 'ssrnet', not 'vgg'; seed 0, not 1: "),
        (config(replace(asked, augmentation=Augmentation.none())), 'augmentation {"flip": 0.5, .*, not {"flip": 0.0'),
        (config(asked, backend="jax"), "backend 'tensorflow', not 'jax'"),
        (config(asked, data=[{"name": "made", "faces": 8}]), r'"faces": 9}\], not \[{"name": "made", "faces": 8}\]'),
    ):
        with pytest.raises(ValueError, match=message):
            run.begin(other)


def test_a_run_of_a_version_without_a_setting_had_its_default(tmp_path: Path) -> None:
    run, old = RunFolder(tmp_path), config()
    del old["settings"]["accumulate"]
    run.begin(old)
    run.begin(config())
    with pytest.raises(ValueError, match="accumulate 1, not 2"):
        run.begin(config(Settings(accumulate=2)))


def test_a_history_without_a_state_is_left_alone(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.begin(config())
    (tmp_path / "history.csv").write_text("epoch,loss\n1,2\n")
    with pytest.raises(FileExistsError, match="without a state to go on from"):
        run.begin(config())


def test_only_the_best_checkpoint_that_the_state_knows_of_is_taken(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.begin(config())
    run.save_model(run.best_of(1), Model("first"))
    run.settle(1, [])
    run.save_model(run.best_of(2), Model("second"))
    (run.checkpoints / ".tmp-last.keras").write_text("half of")
    run.settle(1, [])  # killed before the state of epoch 2 was kept
    assert (run.checkpoints / "best.keras").read_text() == "first"
    run.save_model(run.best_of(2), Model("second"))
    run.settle(2, [])
    assert (run.checkpoints / "best.keras").read_text() == "second"
    assert [path.name for path in run.checkpoints.iterdir()] == ["best.keras"]


def test_versions_name_what_is_installed() -> None:
    found = versions()
    assert found["python"].startswith("3.")
    assert {"keras", "numpy", "onnx"} <= set(found)


def test_without_a_repository_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = git_revision()
    assert revision is None or len(revision.rstrip("+")) == 40
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "runs.py"))
    assert git_revision() is None
