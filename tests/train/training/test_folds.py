from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from agegender_core.predict import load_predictor
from agegender_train.runs.fold_report import FoldReport, fold_folders, write_fold_report
from agegender_train.runs.settings import Settings
from agegender_train.runs.table import Run, read_run
from agegender_train.splits import SplitSettings, list_splits, make_split, read_split, ready_folds, write_split
from agegender_train.store import Store
from agegender_train.store.face_table import FaceTable
from agegender_train.training import train
from agegender_train.training.folds import FoldProgress, cross_validate

MakeStore = Callable[..., Store]
pytestmark = pytest.mark.usefixtures("tiny_network")
SMALL = Settings(model="tiny", epochs=2, batch_size=16, learning_rate=0.01, ema=0.5, seed=4, split="folds-2")


class Crossed(NamedTuple):
    store: Store
    out: Path
    report: FoldReport
    heard: list[FoldProgress]


@pytest.fixture(scope="module")
def crossed(make_store: MakeStore, tiny_network: str, tmp_path_factory: pytest.TempPathFactory) -> Crossed:
    """A cross-validation that was stopped in its second fold's second epoch and went on."""
    store, out = make_store("crossed", n=64, subjects=32), tmp_path_factory.mktemp("crossed")
    name, folds = ready_folds([store], 2)
    assert (name, folds) == ("folds-2", [0, 1])

    def stop(now: FoldProgress) -> None:
        if now.fold == 1 and now.now is not None and now.now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate([store], out, SMALL, folds, stop)
    assert [read_run(out / f"fold-{fold}").state for fold in folds] == ["finished", "stopped"]
    assert not (out / "folds.csv").exists()
    heard = list[FoldProgress]()
    return Crossed(store, out, cross_validate([store], out, SMALL, folds, heard.append), heard)


@pytest.mark.slow
def test_every_fold_is_a_run_of_its_own(crossed: Crossed) -> None:
    sides = read_split(crossed.store, "folds-2")
    for fold in (0, 1):
        config = json.loads((crossed.out / f"fold-{fold}" / "config.json").read_text())
        held = int((sides == fold).sum())
        assert config["faces"] == {"training": 64 - held, "validation": held}
        assert (config["settings"]["split"], config["settings"]["fold"]) == ("folds-2", fold)
    subjects = np.array(crossed.store.labels().subject)
    assert not set(subjects[sides == 0]) & set(subjects[sides == 1])


@pytest.mark.slow
def test_a_stopped_one_goes_on_with_what_is_missing(crossed: Crossed) -> None:
    assert [(now.fold, now.done, now.folds) for now in crossed.heard if now.now is None] == [(0, 0, 2)]
    trained = [now.now for now in crossed.heard if now.now is not None]
    # The first epoch of fold 1 was kept.
    assert {now.epoch for now in trained} == {2}
    assert sum(now.row is not None for now in trained) == 1


@pytest.mark.slow
def test_the_figures_are_those_of_the_folds(crossed: Crossed) -> None:
    report = crossed.report
    with (crossed.out / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["fold"], row["run"], row["epochs"]) for row in rows] == [("0", "fold-0", "2"), ("1", "fold-1", "2")]
    for row, told in zip(rows, report.rows, strict=True):
        history = read_run(crossed.out / row["run"]).history
        best = history[int(row["best_epoch"]) - 1]
        assert best["val_loss"] == min(one["val_loss"] or 0 for one in history) == float(row["val_loss"])
        assert float(row["middle_mae"]) == best["val_middle_mae"] == told["middle_mae"]
        assert row["age_mae"] == ""
    assert sum(int(row["n"]) for row in rows) == 64
    accuracies = [float(row["gender_accuracy"]) for row in rows]
    assert report.mean["gender_accuracy"] == pytest.approx(np.mean(accuracies))
    assert report.std["gender_accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert report.mean["age_mae"] is None

    told = json.loads((crossed.out / "folds.json").read_text())
    assert (told["split"], told["best_fold"], told["rows"]) == ("folds-2", report.best_fold, report.rows)
    assert told["data"][0]["fingerprint"] == crossed.store.fingerprint
    assert told["settings"]["learning_rate"] == 0.01
    assert "fold" not in told["settings"]


@pytest.mark.slow
def test_the_model_is_the_best_folds(crossed: Crossed) -> None:
    losses = [row["val_loss"] for row in crossed.report.rows]
    assert crossed.report.best_fold == int(np.argmin(losses))
    best = crossed.out / f"fold-{crossed.report.best_fold}" / "model.onnx"
    assert crossed.report.model.read_bytes() == best.read_bytes()
    assert load_predictor(crossed.report.model).name == "tiny"


@pytest.mark.slow
def test_the_histories_are_a_picture_and_all_is_the_same_again(crossed: Crossed) -> None:
    picture = np.asarray(cv2.imread(str(crossed.out / "histories.png")))
    assert picture.shape[0] > picture.shape[1] > 700
    # The validation's vermillion and the training's blue, as BGR.
    for colour in ((0x00, 0x5E, 0xD5), (0xB2, 0x72, 0x00)):
        assert np.all(picture == np.array(colour), axis=2).sum() > 200
    names = ("folds.csv", "folds.json", "histories.png", "model.onnx")
    before = {name: (crossed.out / name).read_bytes() for name in names}
    again = cross_validate([crossed.store], crossed.out, SMALL, [0, 1])
    assert {name: (crossed.out / name).read_bytes() for name in names} == before
    assert again == crossed.report


@pytest.mark.slow
def test_a_fold_is_what_train_alone_makes_of_it(crossed: Crossed, tmp_path: Path) -> None:
    alone = train([crossed.store], tmp_path / "run", replace(SMALL, fold=1))
    for one, other in zip(alone.history, read_run(crossed.out / "fold-1").history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3)


@pytest.mark.slow
def test_what_is_there_must_be_of_the_same(crossed: Crossed, make_store: MakeStore, tmp_path: Path) -> None:
    stores = [crossed.store]
    with pytest.raises(ValueError, match="fold-0 holds a run with other epochs, seed: name another folder"):
        cross_validate(stores, crossed.out, replace(SMALL, epochs=3, seed=5, device="cpu"), [0, 1])
    other = make_store("other", n=40)
    with pytest.raises(ValueError, match="fold-0 holds a run with other data"):
        cross_validate([other], crossed.out, SMALL, [0, 1])
    with pytest.raises(ValueError, match="holds fold-0 of another cross-validation"):
        fold_folders(crossed.out, range(12))
    with pytest.raises(ValueError, match="already holds a run, and folds need a folder of their own"):
        cross_validate(stores, crossed.out / "fold-0", SMALL, [0, 1])
    with pytest.raises(ValueError, match=r"folds must be at least two, got \[1\]"):
        cross_validate(stores, tmp_path / "new", SMALL, [1])
    with pytest.raises(ValueError, match="settings must have a split and no fold, got 'folds-2' and 1"):
        cross_validate(stores, tmp_path / "new", replace(SMALL, fold=1), [0, 1])
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_folders_sort_as_the_folds_do(tmp_path: Path) -> None:
    assert [folder.name for folder in fold_folders(tmp_path, range(11)).values()][:2] == ["fold-00", "fold-01"]
    assert [folder.name for folder in fold_folders(tmp_path, range(10)).values()][::9] == ["fold-0", "fold-9"]


def made_up(folder: Path, losses: list[float], **settings: Any) -> Run:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(folder.name.encode())
    config = {
        "settings": {"model": "ssrnet", "epochs": 9, "split": "x", "fold": 0, **settings},
        "data": [],
        "faces": {"training": 4, "validation": 2},
    }
    history = [
        {"epoch": float(epoch), "loss": 1.0, "val_loss": loss, "val_age_mae": 9.0, "val_middle_mae": 9.0}
        for epoch, loss in enumerate(losses, 1)
    ]
    return Run(folder, config, history, "finished")


@pytest.mark.slow
def test_folds_that_ended_early_or_went_astray_have_a_report(tmp_path: Path) -> None:
    runs = {
        0: made_up(tmp_path / "fold-0", [float("nan")]),
        1: made_up(tmp_path / "fold-1", [3.0, 1.0, 2.0]),
        2: made_up(tmp_path / "fold-2", [2.0, 1.5]),
    }
    report = write_fold_report(tmp_path, runs)
    assert (report.best_fold, report.model.read_bytes()) == (1, b"fold-1")
    assert [row["best_epoch"] for row in report.rows] == [1, 2, 2]
    told = json.loads((tmp_path / "folds.json").read_text())  # NaN is no JSON
    assert (told["rows"][0]["val_loss"], told["mean"]["val_loss"], told["mean"]["age_mae"]) == (None, None, 9.0)
    assert cv2.imread(str(tmp_path / "histories.png")) is not None
    assert write_fold_report(tmp_path, {k: replace(run, config={**run.config}) for k, run in runs.items()}) == report


@pytest.mark.slow
def test_the_best_fold_is_that_of_best_by(tmp_path: Path) -> None:
    runs = {fold: made_up(tmp_path / f"fold-{fold}", [1.0 + fold], best_by="gender_accuracy") for fold in (0, 1)}
    for fold, run in runs.items():
        run.history[0]["val_gender_accuracy"] = 0.5 + 0.1 * fold  # type: ignore[index]
    assert write_fold_report(tmp_path, runs).best_fold == 1


@pytest.mark.slow
def test_folds_are_made_where_there_are_none(make_store: MakeStore) -> None:
    store = make_store("made-folds", n=40, subjects=20)
    assert ready_folds([store], 4) == ("folds-4", [0, 1, 2, 3])
    assert ready_folds([store], 4, seed=0) == ("folds-4-seed-0", [0, 1, 2, 3])
    assert list_splits(store) == ["folds-4", "folds-4-seed-0"]
    expected = make_split(FaceTable.read([store]), [], SplitSettings(folds=4))
    np.testing.assert_array_equal(read_split(store, "folds-4"), expected.sides)
    # As they are, the next time; and by name.
    written = (store.path / "splits" / "folds-4.json").stat().st_mtime_ns
    assert ready_folds([store], 4) == ready_folds([store], "folds-4") == ("folds-4", [0, 1, 2, 3])
    assert (store.path / "splits" / "folds-4.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_other_folds_of_that_name_are_left_alone(make_store: MakeStore) -> None:
    store = make_store("other-folds", n=40, subjects=20)
    write_split(make_split(FaceTable.read([store]), [], SplitSettings(folds=3, by="picture")), "folds-3")
    with pytest.raises(FileExistsError, match=r"folds-3\.csv is another split .* --folds folds-3 takes it as it is"):
        ready_folds([store], 3)
    assert ready_folds([store], "folds-3") == ("folds-3", [0, 1, 2])


@pytest.mark.slow
def test_folds_made_apart_do_not_go_together(make_store: MakeStore) -> None:
    one, two = make_store("apart-one", n=30), make_store("apart-two", n=36)
    ready_folds([one], 2)
    with pytest.raises(FileExistsError, match="is another split"):
        ready_folds([one, two], 2)
    ready_folds([two], 2)
    for wanted in (2, "folds-2"):
        with pytest.raises(ValueError, match=r"was made without .*: what both share could be in two folds"):
            ready_folds([one, two], wanted)
    assert ready_folds([one, two], 3) == ("folds-3", [0, 1, 2])
    # Made of both, it will do for one of them, too.
    assert ready_folds([two], 3) == ("folds-3", [0, 1, 2])


@pytest.mark.slow
def test_splits_without_folds_are_refused(make_store: MakeStore) -> None:
    store = make_store("no-folds", n=20)
    with pytest.raises(FileNotFoundError, match="has no split 'mine'"):
        ready_folds([store], "mine")
    with pytest.raises(ValueError, match="has no official split"):
        ready_folds([store], "official")
    with pytest.raises(ValueError, match=r"folds must be in 2\.\.1000, got 1"):
        ready_folds([store], 1)
