from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from agegender_cli.train import train
from agegender_core.predict import load_predictor

app = typer.Typer()
app.command()(train)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_store_becomes_a_model_file(make_store: Any, tmp_path: Path) -> None:
    store, out = make_store(n=64), tmp_path / "run"
    options = ("--epochs", 1, "--batch-size", 16, "--width", 0.25, "--margin", 0.2, "--licence", "CC0", "--no-augment")
    result = run(store.path, "--out", out, *options)
    assert result.exit_code == 0, (result.output, result.exception)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["model_options"] == {"width": 0.25}
    assert config["settings"]["augmentation"]["flip"] == 0
    predictor = load_predictor(out / "model.onnx")
    assert predictor.spec.margin == 0.2
    assert predictor.metadata["agegender.licence"] == "CC0"
    table = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "years" not in line)
    assert table["best epoch"] == "1"
    assert table["gender right"].endswith("%")
    assert "steps" not in result.stdout
    assert "model.onnx is ready" in result.stderr

    again = run(store.path, "--out", out, "--batch-size", 16)
    assert isinstance(again.exception, FileExistsError)
    assert "already holds a run" in str(again.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "vgg"), "name must be one of .*ssrnet.*, got 'vgg'"),
        (("--device", "gpu:9"), "device 'gpu:9' is not there"),
        (("--margin", "0.7"), "margin"),
        (("--schedule", "fast"), "schedule must be cosine, step or constant"),
        (("--learning-rate", "0"), "learning_rate must be above 0"),
    ],
)
def test_mistakes_are_one_sentence(make_store: Any, tmp_path: Path, options: tuple[str, str], message: str) -> None:
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--batch-size", 4, *options)
    assert isinstance(result.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise result.exception
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "--out", tmp_path / "run")
    assert isinstance(result.exception, ValueError)
    assert str(tmp_path) in str(result.exception)


def test_a_missing_split_is_refused_before_the_framework_is_loaded(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "agegender_train.training", None)
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--split", "ten", "--fold", 1)
    assert isinstance(result.exception, FileNotFoundError)
    assert "has no split 'ten'" in str(result.exception)


def test_ctrl_c_says_how_to_go_on(make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agegender_train.training.train", interrupted)
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "Stopped. The same command goes on from there.\n"
