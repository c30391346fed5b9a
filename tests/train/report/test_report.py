from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.patches import StepPatch

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation import Evaluation, evaluate
from agegender_train.report import (
    Limit,
    broken_limits,
    make_card,
    parse_limits,
    read_report,
    unmeasured_limits,
    write_report,
)
from agegender_train.report.page import face_sheets
from agegender_train.report.plots import plot_ages
from agegender_train.report.results import with_not_found


class Guess:
    """Knows the age by the green channel, with a mistake that is as large as asked for."""

    spec = PreprocessSpec(64, chip_size=72)

    def __init__(self, name: str, error: float) -> None:
        self.name, self.error = name, error

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        red, green, blue = (chips[..., channel].mean(axis=(1, 2)) for channel in range(3))
        wrong = self.error * np.sin(1000 * (red + green))
        age = np.float32(np.clip((green - 40) / 1.5 + wrong, 0, 100))
        p_male = np.float32(1 / (1 + np.exp((blue - red) / 50)))
        interval = np.stack([np.maximum(age - 5, 0), age + 5], axis=1)
        return Prediction(age, np.full_like(age, 3.0), p_male, None, interval)


class Half(Guess):
    """Has not learned ages, or not genders."""

    def __init__(self, name: str, untrained: str) -> None:
        super().__init__(name, 2.0)
        self.nothing = {"age": {"age": None, "age_std": None, "age_interval": None}, "gender": {"p_male": None}}[
            untrained
        ]

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        return replace(super().predict_chips(chips), **self.nothing)


@pytest.fixture(scope="module")
def evaluations(make_store: Any) -> list[Evaluation]:
    stores = [make_store("ages", 60, exact=True), make_store("groups", 40, genders=(0, 1, None))]
    return [
        evaluate(Guess(name, error), store, rounds=100)
        for store in stores
        for name, error in (("good", 2), ("bad", 25))
    ]


@pytest.fixture(scope="module")
def written(evaluations: list[Evaluation], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of them all, which no test changes."""
    return write_report(evaluations, tmp_path_factory.mktemp("made") / "new" / "report", "agegender eval <stores>")


def test_a_report_read_back_is_the_same(evaluations: list[Evaluation], written: Path) -> None:
    out = written
    names = {path.name for path in out.iterdir()}
    assert names == {"metrics.json", "predictions.parquet", "report.html", "plots"}
    report = read_report(out)
    assert report.about["command"] == "agegender eval <stores>"
    assert [(row["model"], row["test_set"], row["n"], row["pictures"]) for row in report.results] == [
        ("good", "ages", 60, 60),
        ("bad", "ages", 60, 60),
        ("good", "groups", 40, 40),
        ("bad", "groups", 40, 40),
    ]
    for evaluation, row in zip(evaluations, report.results, strict=True):
        for name in ("age_mae", "group_exact", "gender_accuracy", "intervals", "parts", "gaps"):
            assert row[name] == json.loads(json.dumps(evaluation.metrics[name])), name
        again = report.outcomes(row["model"], row["test_set"]).compute()
        for name, value in evaluation.outcomes.without_probabilities().compute().items():
            assert again[name] == (None if value is None else pytest.approx(value, rel=1e-6)), name
    table = pq.read_table(out / "predictions.parquet")
    assert table.num_rows == 200
    assert table["gender"].null_count == 26
    with pytest.raises(ValueError, match="no predictions of ugly on ages"):
        report.outcomes("ugly", "ages")


@pytest.mark.slow
def test_a_report_is_replaced_only_when_asked(evaluations: list[Evaluation], tmp_path: Path) -> None:
    out = write_report(evaluations[:2], tmp_path / "report")
    (tmp_path / "link").symlink_to(out, target_is_directory=True)
    (out / "plots" / "mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for name in ("report", "link"):
        with pytest.raises(FileExistsError, match=r"already holds a report .*metrics\.json.*\n.*--replace"):
            write_report(evaluations[2:3], tmp_path / name)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write_report(evaluations[2:3], out, replace=True)
    fresh = write_report(evaluations[2:3], tmp_path / "fresh")
    names = {path.name for path in (out / "plots").iterdir()}
    assert names == {path.name for path in (fresh / "plots").iterdir()} | {"mine.txt"}
    assert read_report(out).results == read_report(fresh).results


@pytest.mark.slow
@pytest.mark.parametrize("untrained", ["age", "gender"])
def test_an_untrained_head_is_null_everywhere(untrained: str, make_store: Any, tmp_path: Path) -> None:
    store = make_store("ages", 60, exact=True)
    both = [evaluate(model, store, rounds=20) for model in (Half("half", untrained), Guess("whole", 9.0))]
    report = read_report(write_report(both, tmp_path / "report"))
    half, whole = report.results
    of_head = {"age": ("age_mae", "age_bias", "cs5", "coverage90", "age_std"), "gender": ("gender_accuracy",)}
    other = {"age": "gender", "gender": "age"}[untrained]
    for figures in (half, *half["parts"]["band"].values()):
        assert [figures[name] for name in of_head[untrained]] == [None] * len(of_head[untrained])
    assert half[of_head[other][0]] is not None
    assert all(whole[name] is not None for name in ("age_mae", "gender_accuracy"))
    assert (half["untrained"], whole["untrained"]) == ([untrained], [])
    assert (half["n"], half[f"n_{untrained}"]) == (60, 0)
    table = pq.read_table(tmp_path / "report" / "predictions.parquet")
    column = {"age": "age", "gender": "p_male"}[untrained]
    assert table.filter(table["model"].to_numpy() == "half")[column].null_count == 60
    assert table.filter(table["model"].to_numpy() == "whole")[column].null_count == 0
    assert report.outcomes("half", "ages").compute()[of_head[untrained][0]] is None
    (comparison,) = report.comparisons
    assert set(of_head[untrained]).isdisjoint(comparison["pairs"][0]["gains"])
    said = {"age": "half has not learned ages", "gender": "half has not learned genders"}[untrained]
    assert said in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert said.replace("half", "- It") in make_card(report, "half")
    # Alone, too, when nothing is there to compare with.
    write_report([evaluate(Half("half", untrained), store, rounds=20)], tmp_path / "alone")


def test_the_models_are_compared_on_the_same_faces(written: Path) -> None:
    report = read_report(written)
    ages, groups = report.comparisons
    assert (ages["test_set"], ages["n"], groups["n"]) == ("ages", 60, 40)
    gain = ages["pairs"][0]["gains"]["age_mae"]
    good, bad = (row["age_mae"] for row in report.results[:2])
    assert gain["gain"] == pytest.approx(bad - good)
    assert 0 < gain["interval"][0] < gain["gain"] < gain["interval"][1]
    assert [(one["model"], one["rank"]) for one in ages["ranks"]["age_mae"]] == [("good", 1), ("bad", 2)]
    assert [one["rank"] for one in ages["ranks"]["gender_accuracy"]] == [1, 1]


def test_the_page_stands_alone_and_shows_all_plots(
    evaluations: list[Evaluation], written: Path, tmp_path: Path
) -> None:
    out = written
    page = (out / "report.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:|//|file:)", page)
    assert "agegender eval &lt;stores&gt;" in page
    assert "good is better than bad by" in page
    plots = sorted((out / "plots").iterdir())
    assert len(plots) == 3 + 4 + 4 + 4 - 0
    assert page.count("data:image/png;base64") == len(plots)
    for plot in plots:
        picture = cv2.imread(str(plot))
        assert picture is not None
        assert picture.std() > 10, plot
    # 50 worst of the bad model (fewer of the good one, which has few errors), and 50 at random of each test set.
    faces = page.count("data:image/jpeg;base64")
    assert faces >= 50 + 40 + 50
    without = write_report(evaluations[:1], tmp_path, faces=False)
    assert "data:image/jpeg" not in (without / "report.html").read_text()


def test_the_summary_is_on_top_and_wide_tables_say_that_they_scroll(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    head, body = page.split("<nav>")
    assert "<li>good on ages, 60 faces: age MAE " in head
    assert "<li>On ages: good is better than bad by " in head
    for table in body.split('<table class="wide">')[:-1]:
        assert "<p class=swipe>" in table[-200:]
    assert "@media (max-width: 700px) { .swipe { display: block; } }" in page


def test_random_faces_are_in_the_order_in_which_they_were_drawn(evaluations: list[Evaluation]) -> None:
    (first,) = (sheet for title, sheet in face_sheets(evaluations[:1]) if title.startswith("Random sample"))
    (again,) = (sheet for title, sheet in face_sheets(evaluations[:1]) if title.startswith("Random sample"))
    keys = [cell.pictures[0].key for cell in first.cells]
    assert keys == [cell.pictures[0].key for cell in again.cells]
    assert len(set(keys)) == len(keys) == 50
    rows = [int(key.removesuffix(".jpg")) for key in keys]
    assert keys != sorted(keys)
    assert rows != sorted(rows)


def test_two_models_of_one_name_are_refused(evaluations: list[Evaluation], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two models are called good on ages"):
        write_report([evaluations[0], evaluations[0]], tmp_path)


def test_pictures_without_a_face_count_as_wrong_when_asked() -> None:
    figures = {"n": 90, "n_age": 90, "n_gender": 45, "cs5": 0.5, "gender_accuracy": 0.8, "group_exact": None}
    assert with_not_found(figures, 10) == {
        "n": 100,
        "cs5": pytest.approx(0.45),
        "gender_accuracy": pytest.approx(0.8 * 45 / 55),
    }


def test_the_store_tells_how_many_faces_were_not_found(make_store: Any, tmp_path: Path) -> None:
    store = make_store("lost", 20, exact=True)
    (store.path / "audit.json").write_text(json.dumps({"rejected": {"no face": 5, "duplicate": 2}}))
    whole = evaluate(Guess("good", 2), store, rounds=0)
    part = evaluate(Guess("good", 2), store, rows=np.arange(10), part="fold 1 of x", rounds=0)
    assert (whole.not_found, part.not_found) == (5, None)
    report = read_report(write_report([whole], tmp_path))
    assert report.results[0]["with_not_found"]["n"] == 25
    assert "In 5 of 20 pictures no face was found" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("damage", ["gone", "cut", "format", "other"])
def test_what_is_no_report_is_refused(written: Path, tmp_path: Path, damage: str) -> None:
    out, file = tmp_path, Path(shutil.copy(written / "metrics.json", tmp_path))
    text = file.read_text()
    if damage == "gone":
        file.unlink()
        with pytest.raises(FileNotFoundError, match="holds no report"):
            read_report(out)
        return
    file.write_text({"cut": text[:100], "format": text.replace('"format": 2', '"format": 9'), "other": "[]"}[damage])
    with pytest.raises(ValueError, match=r"metrics.json is no report of agegender eval"):
        read_report(out)


def test_the_oldest_ages_are_drawn_too(make_store: Any) -> None:
    """A network that says 100 years for everybody, or more, has its faces in the plot."""
    outcomes = evaluate(Guess("old", 0), make_store("ages", 12, exact=True), rounds=0).outcomes
    for age in (100.0, 130.0):
        old = replace(outcomes, prediction=replace(outcomes.prediction, age=np.full(12, age, np.float32)))
        true, predicted = plot_ages({"old": old}).axes[0].findobj(StepPatch)
        for patch in (true, predicted):
            assert 2 * patch.get_data().values.sum() == pytest.approx(100)
        assert predicted.get_data().values[-1] == 50


def test_limits() -> None:
    limits = parse_limits("age_mae=6.0, gender_accuracy=0.93")
    assert limits == [Limit("age_mae", 6.0), Limit("gender_accuracy", 0.93)]
    row = {"model": "m", "test_set": "t", "age_mae": 6.0, "gender_accuracy": 0.92}
    assert broken_limits([row], limits) == ["m on t: gender_accuracy is 0.92, must be at least 0.93"]
    nothing = {**row, "test_set": "u", "age_mae": None}
    assert broken_limits([nothing], limits[:1]) == []
    assert unmeasured_limits([row, nothing], limits[:1]) == (["m on u: no age_mae, left out"], [])
    assert unmeasured_limits([nothing, {**row, "model": "other"}], limits[:1]) == ([], ["m has no age_mae on u"])
    with pytest.raises(ValueError, match="'age' is no figure to limit"):
        parse_limits("age=3")
    with pytest.raises(ValueError, match="must look like age_mae=NUMBER"):
        parse_limits("age_mae=little")


def test_a_card_has_the_figures_of_the_report(written: Path) -> None:
    report = read_report(written)
    row = report.results[0]
    card = make_card(report, "good")
    assert card.startswith("# Model card: good")
    assert f"| ages | 60 | {row['age_mae']:.2f} (" in card
    assert "good is better than bad by" in card
    band = row["parts"]["band"]["20-29"]
    text = "{{ages.age_mae}} {{ages.n}} {{ages/band/20-29.age_bias}} {{model}}"
    assert make_card(report, "good", text) == f"{row['age_mae']:.2f} 60 {band['age_bias']:+.2f} good"
    with pytest.raises(ValueError, match="has no model 'ugly'; it has good, bad"):
        make_card(report, "ugly")
    with pytest.raises(ValueError, match=r"asks for \{\{ages.nothing\}\}"):
        make_card(report, "good", "{{ages.nothing}}")


def test_a_card_says_who_is_worse_off_than_with_another_model(written: Path) -> None:
    report = read_report(written)
    assert make_card(report, "bad", "{{worse than good}}") == "none (of 0 figures of parts with 100 faces or more)"
    for row in report.results:
        for parts in row["parts"].values():
            for figures in parts.values():
                figures["n"] = 100
    assert make_card(report, "good", "{{worse than bad}}").startswith("none (of ")
    worse = make_card(report, "bad", "{{worse than good}}")
    ages = [row for row in report.results if row["test_set"] == "ages"]
    figures = {row["model"]: row["parts"]["band"]["20-29"] for row in ages}
    low, high = figures["good"]["intervals"]["age_mae"]
    assert figures["bad"]["age_mae"] > high
    assert (
        f"ages, age 20-29: age MAE, years {figures['bad']['age_mae']:.2f}, "
        f"{figures['good']['age_mae']:.2f} ({low:.2f} to {high:.2f}) with good"
    ) in worse
    with pytest.raises(ValueError, match="has no model 'ugly'; it has good, bad"):
        make_card(report, "good", "{{worse than ugly}}")


@pytest.mark.slow
def test_twenty_thousand_predictions_make_a_page_below_five_megabytes(make_store: Any, tmp_path: Path) -> None:
    """With three models and faces that a JPEG can't shrink much; ten times the faces don't make the page larger."""
    store = make_store("many", 700, exact=True)
    rows = np.tile(np.arange(700), 10)
    rows = rows[: 20_000 // 3]
    found = [
        evaluate(Guess(name, 10 * place), store, rows=rows, rounds=20) for place, name in enumerate("abc", start=1)
    ]
    out = write_report(found, tmp_path)
    assert pq.read_table(out / "predictions.parquet").num_rows == 3 * 6666
    assert (out / "report.html").stat().st_size < 5e6
