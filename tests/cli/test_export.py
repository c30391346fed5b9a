from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.main import app
from agegender_train.export.checking import Drift, PrecisionCost
from agegender_train.export.exporting import Exported


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What exports were asked for; each gives a made-up result."""
    calls: list[tuple[Any, ...]] = []

    def export_run(run: Path, format: str, precision: str, out: Path | None, **named: Any) -> Exported:
        calls.append((run, format, precision, out))
        named["progress"]("Measuring", 1, 2)
        figures = {"age_mae": 5.0, "interval_mae": 5.0, "gender_accuracy": 0.9}
        cost = PrecisionCost("utkface", 20, figures, {**figures, "age_mae": 5.25})
        drift = Drift(8, 1e-6, 0.01, 0.005, 0.001, 0.0005)
        return Exported([Path("mine.xml"), Path("mine.bin")], 2_000_000, format, precision, drift, 1.5, [cost])

    monkeypatch.setattr("agegender_train.export.export_run", export_run)
    return calls


def test_options_reach_the_export(asked: list[tuple[Any, ...]]) -> None:
    result = run("runs/a", "--to", "openvino", "--precision", "fp16", "-o", "mine.xml")
    assert result.exit_code == 0, (result.output, result.exception)
    assert asked == [(Path("runs/a"), "openvino", "fp16", Path("mine.xml"))]
    assert result.stderr == "mine.xml is ready\n"
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["file", "mine.xml", "+", "mine.bin"]
    assert "5.000 -> 5.250  (+0.250 years)" in result.stdout
    assert "age error to group" not in result.stdout  # of exact ages it is the MAE again


def test_figures_as_json_and_csv(asked: list[tuple[Any, ...]]) -> None:
    result = run("runs/a", "--precision", "fp16", "--format", "json", "--quiet")
    figures = json.loads(result.stdout)
    assert result.stderr == ""
    assert (figures["files"], figures["size"], figures["difference"]["faces"]) == (
        ["mine.xml", "mine.bin"],
        2_000_000,
        8,
    )
    assert figures["changes"][0]["after"]["age_mae"] == 5.25
    file, before, after = csv.DictReader(run("runs/a", "--precision", "fp16", "--format", "csv").stdout.splitlines())
    assert (file["file"], file["size"], file["test_set"]) == ("mine.xml", "2000000", "")
    assert [(row["precision"], row["age_mae"]) for row in (before, after)] == [("fp32", "5.0"), ("fp16", "5.25")]


def test_a_target_is_no_source(asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    (run_folder / "checkpoints").mkdir(parents=True)
    best = run_folder / "checkpoints" / "best.keras"
    for path in (best, run_folder / "model.onnx", run_folder / "config.json"):
        path.write_text("made")
    (tmp_path / "link.keras").symlink_to(best)
    for words in (
        (run_folder, "--to", "keras", "-o", best),
        (run_folder, "--to", "keras", "-o", tmp_path / "link.keras"),
        (best, "--to", "keras", "-o", best),
        (run_folder, "-o", tmp_path),
    ):
        result = run(*words)
        assert isinstance(result.exception, UserError), words
    assert asked == []


def test_a_near_format_is_suggested() -> None:
    result = run("runs/a", "--to", "tflit")
    assert result.exit_code == 2
    assert "'tflit' is not one of 'onnx', 'tflite', 'openvino', 'keras'. Did you mean tflite?" in result.stderr


def test_int8_needs_faces() -> None:
    error = run("runs/a", "--precision", "int8").exception
    assert isinstance(error, UserError)
    assert "--calibration STORE" in (error.hint or "")
