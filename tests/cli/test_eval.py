from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from agegender_cli.errors import UserError
from agegender_cli.eval import evaluate
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx
from agegender_train.models import build_model, get_network
from agegender_train.store.decisions import Decision, DecisionLog

app = typer.Typer()
app.command()(evaluate)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two untrained networks as model files, for chips of 72 pixels."""
    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in get_network("ssrnet").heads.items()}
    heads["age"]["std"] = 9.0
    folder, files = tmp_path_factory.mktemp("models"), []
    keras.utils.set_random_seed(0)  # some random weights have no finite answer
    for name in ("one", "two"):
        spec = PreprocessSpec(64, chip_size=72)
        model, path = build_model("ssrnet", width=0.25), folder / f"{name}.onnx"
        files.append(
            export_onnx(model, path, name=name, spec=spec, heads=heads, training={}, metrics=[], licence="CC0")
        )
    return files


@pytest.mark.slow
def test_every_model_meets_every_store(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    stores = [make_store("groups", 20), make_store("ages", 10, exact=True)]
    result = run(
        *(store.path for store in stores), "--model", models[0], "--model", models[1], "--output", tmp_path / "report"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads((tmp_path / "report/metrics.json").read_text())
    pairs = [(row["model"], row["test_set"], row["n"]) for row in report["results"]]
    assert pairs == [("one", "groups", 20), ("two", "groups", 20), ("one", "ages", 10), ("two", "ages", 10)]
    assert pq.read_table(tmp_path / "report/predictions.parquet").num_rows == 60
    lines = result.stdout.splitlines()
    titles = "n age MAE median bias CS@5 to group group one off gender ECE"
    assert " ".join(lines[0].split()) == titles
    whole = [line for line in lines[1:] if line.startswith(("one on", "two on"))]
    assert [line.split()[:4] for line in whole] == [[model, "on", store, str(n)] for model, store, n in pairs]
    assert f"{report['results'][2]['age_mae']:.2f}" in whole[2]
    assert "On 20 faces of groups that all predicted:" in lines
    assert "report.html shows it" in result.stderr
    assert (tmp_path / "report/report.html").exists()


@pytest.mark.slow
def test_the_runtime_changes_no_figure(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    store, figures = make_store("ages", 10, exact=True), []
    for runtime in ("onnxruntime", "openvino"):
        report = tmp_path / runtime
        arguments = ("--model", models[0], "-o", report, "--no-faces", "--runtime", runtime)
        result = run(store.path, *arguments, "--format", "json", "--quiet")
        assert result.exit_code == 0, (result.output, result.exception)
        figures.append(json.loads(result.stdout)["results"][0]["age_mae"])
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)


@pytest.mark.slow
def test_figures_as_json_and_csv_are_those_of_the_report(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("ages", 10, exact=True)
    result = run(store.path, "--model", models[0], "-o", tmp_path / "a", "--no-faces", "--format", "json", "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads((tmp_path / "a/metrics.json").read_text())
    printed = json.loads(result.stdout)
    assert printed == {"report": str(tmp_path / "a"), **{name: report[name] for name in ("results", "comparisons")}}
    assert result.stderr == ""
    result = run(store.path, "--model", models[0], "-o", tmp_path / "b", "--no-faces", "--format", "csv")
    first = next(csv.DictReader(result.stdout.splitlines()))
    assert (first["model"], first["test_set"], first["kind"]) == ("one", "ages", "all")
    assert float(first["age_mae"]) == pytest.approx(report["results"][0]["age_mae"])


def test_columns_that_nobody_has_are_left_out(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("ages", 6, exact=True, genders=(None,))
    result = run(store.path, "--model", models[0], "--output", tmp_path / "report", "--quiet", "--no-faces")
    assert result.stdout.splitlines()[0].split() == ["n", "age", "MAE", "median", "bias", "CS@5"]
    assert "image/jpeg" not in (tmp_path / "report/report.html").read_text()


@pytest.mark.slow
def test_models_of_one_name_are_told_apart(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store, copy = make_store("ages", 6, exact=True), tmp_path / "copy.onnx"
    copy.write_bytes(models[0].read_bytes())
    result = run(store.path, store.path, "--model", models[0], "--output", tmp_path / "a")
    assert result.exit_code != 0
    result = run(store.path, "--model", models[0], "--model", copy, "--output", tmp_path / "b")
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads((tmp_path / "b/metrics.json").read_text())
    assert [row["model"] for row in report["results"]] == [f"one ({models[0]})", f"one ({copy})"]
    result = run(store.path, "--model", copy, "--model", copy, "--output", tmp_path / "c")
    assert "is given twice" in str(result.exception)


@pytest.mark.slow
def test_a_limit_that_is_not_kept_is_exit_code_1(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("ages", 12, exact=True)
    asked = (store.path, "--model", models[0], "--output", tmp_path / "report", "--fail-under")
    kept = run(*asked, "age_mae=1e9,gender_accuracy=0")
    assert kept.exit_code == 0, (kept.output, kept.exception)
    broken = run(*asked, "age_mae=0.5,gender_accuracy=0", "--replace")
    assert broken.exit_code == 1
    assert "--fail-under: one on ages: age_mae is" in broken.stderr
    # What is asked wrongly is told before anything is done.
    wrong = run(*asked[:-2], tmp_path / "no-report", "--fail-under", "age=3")
    assert "'age' is no figure to limit" in str(wrong.exception)
    assert not (tmp_path / "no-report").exists()


@pytest.mark.slow
def test_a_limit_is_not_held_against_sets_without_labels_for_it(
    make_store: Any, models: list[Path], tmp_path: Path
) -> None:
    with_, without = make_store("with", 12, exact=True), make_store("without", 12, exact=True, genders=(None,))
    asked = ("--model", models[0], "--fail-under", "gender_accuracy=0")
    both = run(with_.path, without.path, *asked, "--output", tmp_path / "both")
    assert both.exit_code == 0, (both.output, both.exception)
    assert "--fail-under: one on without: no gender_accuracy, left out" in both.stderr
    none = run(without.path, *asked, "--output", tmp_path / "none")
    assert isinstance(none.exception, UserError)
    assert str(none.exception) == "--fail-under: one has no gender_accuracy on without"


@pytest.mark.slow
def test_a_report_is_replaced_only_when_asked(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store, out = make_store("ages", 12, exact=True), tmp_path / "report"
    asked = (store.path, "--output", out, "--model")
    assert run(*asked, models[0]).exit_code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused = run(*asked, models[1])
    assert isinstance(refused.exception, FileExistsError)
    assert "already holds a report" in str(refused.exception)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run(*asked, models[1], "--replace").exit_code == 0
    assert [path.name for path in (out / "plots").glob("*confusion*")] == ["ages-two-confusion.png"]


def test_a_target_is_no_source(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("ages", 6, exact=True)
    (tmp_path / "link").symlink_to(store.path, target_is_directory=True)
    for output in (store.path, store.path / "report", tmp_path / "link" / "report", models[0]):
        result = run(store.path, "--model", models[0], "--output", output)
        assert isinstance(result.exception, UserError), output
    assert not (store.path / "report").exists()


@pytest.mark.slow
def test_sources_inside_the_target_stay_as_they_are(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "report"
    shutil.copytree(make_store("ages", 6, exact=True).path, out / "stores" / "ages")
    shutil.copy(models[0], out / "model.onnx")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for more in ((), ("--replace",)):
        result = run(out / "stores" / "ages", "--model", out / "model.onnx", "--output", out, *more)
        assert result.exit_code == 0, (result.output, result.exception)
        assert before == {path: path.read_bytes() for path in before}


def test_another_cut_needs_realign(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    other = make_store("other", 4, size=100, padding=0.6)
    asked = (other.path, "--model", models[0], "--output", tmp_path / "report")
    assert "holds chips of 100 px with padding 0.6" in str(run(*asked).exception)
    result = run(*asked, "--realign")
    assert result.exit_code == 0, (result.output, result.exception)
    assert json.loads((tmp_path / "report/metrics.json").read_text())["results"][0]["realigned"]


@pytest.mark.slow
def test_a_review_is_applied_and_told(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("reviewed", 8, exact=True)
    decisions = [Decision("0.jpg", 0, "reject"), Decision("1.jpg", 0, "correct", 33, 33, 1)]
    DecisionLog(store.path / "review.csv").append(decisions)
    result = run(store.path, "--model", models[0], "--output", tmp_path / "report")
    assert "1 face left out, 1 label corrected by review.csv" in result.stderr
    rows = pq.read_table(tmp_path / "report/predictions.parquet").to_pylist()
    assert [row["key"] for row in rows] == [f"{number}.jpg" for number in range(1, 8)]
    assert (rows[0]["age_low"], rows[0]["gender"]) == (33, 1)
    quiet = run(store.path, "--model", models[0], "--output", tmp_path / "again", "--quiet")
    assert "review.csv" not in quiet.stderr


def test_mistakes_are_one_sentence(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    other = make_store("other", 4, padding=0.2)
    for arguments, message in (
        ((other.path, "--model", models[0]), "agegender preprocess --size 72 --padding 0.4"),
        ((other.path, "--model", tmp_path / "no.onnx"), "no model file at"),
        ((tmp_path / "nothing",), "is no folder"),
        (
            (make_store("more", 4).path, "--model", "insightface:folder", "--runtime", "openvino"),
            "for agegender's own model files, not for insightface:folder",
        ),
    ):
        result = run(*arguments, "--output", tmp_path / "report")
        assert isinstance(result.exception, ValueError | OSError)
        assert message in str(result.exception)
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_a_part_of_one_store_alone(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    stores = [make_store("a", 40, exact=True), make_store("b", 10, exact=True)]
    asked = (*(store.path for store in stores), "--model", models[0], "--output", tmp_path / "report")
    result = run(*asked, "--only", "a:validation=0.5,seed=3")
    assert result.exit_code == 0, (result.output, result.exception)
    part, whole = json.loads((tmp_path / "report/metrics.json").read_text())["results"]
    assert (part["part"], whole["part"], whole["n"]) == ("validation 0.5, seed 3", None, 10)
    assert 10 < part["n"] < 30
    for text, message in (
        ("c:validation=0.5", "no store is of the dataset 'c'"),
        ("a:part=0.5", "can't be read at 'part=0.5'"),
        ("a", "can't be read at ''"),
        ("a:fold=1", "--fold 1 needs the --split"),
        ("a:split=x,validation=0.5", "exclude each other"),
    ):
        assert message in str(run(*asked, "--replace", "--only", text).exception)
