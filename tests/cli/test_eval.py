from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from agegender_cli.eval import evaluate
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx
from agegender_train.models import build_model, get_network
from agegender_train.review.decisions import Decision
from agegender_train.review.log import DecisionLog

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
    for name in ("one", "two"):
        spec = PreprocessSpec(64, chip_size=72)
        model, path = build_model("ssrnet", width=0.25), folder / f"{name}.onnx"
        files.append(
            export_onnx(model, path, name=name, spec=spec, heads=heads, training={}, metrics=[], licence="CC0")
        )
    return files


def test_every_model_meets_every_store(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    stores = [make_store("groups", 20), make_store("ages", 10, exact=True)]
    result = run(
        *(store.path for store in stores), "--model", models[0], "--model", models[1], "--out", tmp_path / "report"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads((tmp_path / "report/metrics.json").read_text())
    pairs = [(row["model"], row["test_set"], row["n"]) for row in report["results"]]
    assert pairs == [("one", "groups", 20), ("two", "groups", 20), ("one", "ages", 10), ("two", "ages", 10)]
    assert pq.read_table(tmp_path / "report/predictions.parquet").num_rows == 60
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["n", "age", "MAE", "bias", "CS@5", "to", "group", "in", "group", "gender", "ECE"]
    whole = [line for line in lines[1:] if not line.startswith(" ")]
    assert [line.split()[:4] for line in whole] == [[model, "on", store, str(n)] for model, store, n in pairs]
    assert f"{report['results'][2]['age_mae']:.2f}" in whole[2]
    assert "metrics.json" in result.stderr


def test_columns_that_nobody_has_are_left_out(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("ages", 6, exact=True, genders=(None,))
    result = run(store.path, "--model", models[0], "--out", tmp_path / "report", "--quiet")
    assert result.stdout.splitlines()[0].split() == ["n", "age", "MAE", "bias", "CS@5"]


def test_a_review_is_applied_and_told(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    store = make_store("reviewed", 8, exact=True)
    decisions = [Decision("0.jpg", 0, "reject"), Decision("1.jpg", 0, "correct", 33, 33, 1)]
    DecisionLog(store.path / "review.csv").append(decisions)
    result = run(store.path, "--model", models[0], "--out", tmp_path / "report")
    assert "1 faces left out, 1 labels corrected by review.csv" in result.stderr
    rows = pq.read_table(tmp_path / "report/predictions.parquet").to_pylist()
    assert [row["key"] for row in rows] == [f"{number}.jpg" for number in range(1, 8)]
    assert (rows[0]["age_low"], rows[0]["gender"]) == (33, 1)
    quiet = run(store.path, "--model", models[0], "--out", tmp_path / "again", "--quiet")
    assert "review.csv" not in quiet.stderr


def test_mistakes_are_one_sentence(make_store: Any, models: list[Path], tmp_path: Path) -> None:
    other = make_store("other", 4, padding=0.2)
    for arguments, message in (
        ((other.path, "--model", models[0]), "agegender preprocess --size 72 --padding 0.4"),
        ((other.path, "--model", tmp_path / "no.onnx"), "no model file at"),
        ((tmp_path / "nothing",), "is no folder"),
    ):
        result = run(*arguments, "--out", tmp_path / "report")
        assert isinstance(result.exception, ValueError | OSError)
        assert message in str(result.exception)
    assert not (tmp_path / "report").exists()
