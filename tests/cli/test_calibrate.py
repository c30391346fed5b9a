from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import keras
import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.calibrate import calibrate
from agegender_cli.errors import UserError
from agegender_core.predict import load_predictor
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx
from agegender_train.models import build_model, get_network

# Reports and calibrations of real networks.
pytestmark = pytest.mark.slow

app = typer.Typer()
app.command()(calibrate)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    about: dict[str, Any] = {"heads": get_network("mobilenetv2").heads, "training": {}, "metrics": [], "licence": "CC0"}
    spec = PreprocessSpec(32, chip_size=72)
    keras.utils.set_random_seed(1)
    return export_onnx(build_model("mobilenetv2", input_size=32, alpha=0.05), path, name="m", spec=spec, **about)


def test_a_copy_is_calibrated_on_a_part(model: Path, make_store: Any, tmp_path: Path) -> None:
    store, out = make_store("aside", n=400, exact=True), tmp_path / "calibrated.onnx"
    result = run(model, store.path, "--validation", 0.5, "--seed", 3, "--output", out)
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.stdout.split()[:2] == ["before", "after"]
    rows = [re.split(" {2,}", line) for line in result.stdout.splitlines()[1:]]
    lines = {title: figures for title, *figures in rows}
    assert lines["in 90 %"][0] == "-"
    assert 85 < float(lines["in 90 %"][1].rstrip("%")) <= 97
    assert lines["age MAE"][0] == lines["age MAE"][1]
    assert "test it on other faces" in result.stderr
    assert "calibration" in " ".join(load_predictor(out).metadata)


@pytest.mark.parametrize(("option", "flip"), [("--flip", True), ("--no-flip", False), ("--flip-unsure", "unsure")])
def test_a_copy_looks_as_it_was_calibrated(
    option: str, flip: bool | str, model: Path, make_store: Any, tmp_path: Path
) -> None:
    out = tmp_path / "c.onnx"
    result = run(model, make_store("seen", n=120).path, "--output", out, option)
    assert result.exit_code == 0, result.exception
    assert load_predictor(out).flip == flip


def test_figures_as_json_and_csv(model: Path, make_store: Any, tmp_path: Path) -> None:
    words = (model, make_store("figures", n=150, exact=True).path, "--output", tmp_path / "c.onnx", "--quiet")
    result = run(*words, "--format", "json")
    assert result.stderr == ""
    figures = json.loads(result.stdout)
    assert figures["model"] == str(tmp_path / "c.onnx")
    assert "interval" in figures["heads"]["age"]
    rows = list(csv.DictReader(run(*words, "--format", "csv").stdout.splitlines()))
    assert [row["model"] for row in rows] == ["before", "after"]
    for row in rows:
        assert float(row["age_mae"]) == pytest.approx(figures[row["model"]]["age_mae"])
        assert int(row["n"]) == 150


def test_a_target_is_no_source(model: Path, make_store: Any, tmp_path: Path) -> None:
    store, link = make_store("aside", n=8), tmp_path / "link.onnx"
    link.symlink_to(model)
    before = model.read_bytes()
    for output in (model, link, store.path / "model.onnx", tmp_path):
        result = run(model, store.path, "--output", output)
        assert isinstance(result.exception, UserError), output
    assert model.read_bytes() == before


def test_ages_are_moved_in_one_way(model: Path, make_store: Any, tmp_path: Path) -> None:
    store = make_store("aside", n=8).path
    both = run(model, store, "--output", tmp_path / "c.onnx", "--correct", "--stretch-last-group")
    assert "give one of them" in str(both.exception)


def test_too_little_is_said(model: Path, make_store: Any, tmp_path: Path) -> None:
    result = run(model, make_store("few", n=20).path, "--output", tmp_path / "c.onnx")
    assert "needs 100 faces" in str(result.exception)
    half = run(model, make_store("women", n=120, genders=(0,)).path, "--output", tmp_path / "c.onnx")
    assert half.exit_code == 0, half.exception
    assert "The gender is not calibrated" in half.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "x", "--validation", 0.1), "--split and --validation exclude each other"),
        (("--fold", 1), "--fold 1 needs the --split"),
        (("--flip-unsure", "--flip"), "--flip-unsure and --flip exclude each other"),
        (("--flip-unsure", "--no-flip"), "--flip-unsure and --no-flip exclude each other"),
    ],
)
def test_options_that_exclude_each_other(
    model: Path, make_store: Any, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    result = run(model, make_store("aside", n=8).path, "--output", tmp_path / "c.onnx", *options)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
