from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from agegender_cli.card import card
from agegender_cli.compare import compare
from agegender_cli.errors import UserError
from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation import evaluate
from agegender_train.report import write_report

# Reports and calibrations of real networks.
pytestmark = pytest.mark.slow

app = typer.Typer()
app.command()(compare)
app.command()(card)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class Guess:
    name = "guess"
    spec = PreprocessSpec(64, chip_size=72)

    def __init__(self, error: float) -> None:
        self.error = error

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        green = chips[..., 1].mean(axis=(1, 2))
        age = np.float32(np.clip((green - 40) / 1.5 + self.error * np.sin(1000 * green), 0, 100))
        return Prediction(age, np.full_like(age, 3.0), np.full_like(age, 0.7))


@pytest.fixture(scope="module")
def reports(make_store: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    store, folder = make_store("ages", 50, exact=True), tmp_path_factory.mktemp("reports")
    names = {"before": 20.0, "after": 1.0}
    return [write_report([evaluate(Guess(error), store, rounds=20)], folder / name) for name, error in names.items()]


def test_two_reports_of_one_model_are_told_apart_and_compared(reports: list[Path]) -> None:
    result = run("compare", *reports)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "guess (before) on ages" in result.stdout
    assert "guess (after) is better than guess (before) by" in result.stdout
    answer = json.loads(run("compare", *reports, "--format", "json").stdout)
    (comparison,) = answer["comparisons"]
    first, second = (row["age_mae"] for row in answer["results"])
    assert comparison["pairs"][0]["gains"]["age_mae"]["gain"] == pytest.approx(second - first)
    assert comparison["ranks"]["age_mae"] == [
        {"model": "guess (after)", "rank": 1},
        {"model": "guess (before)", "rank": 2},
    ]


def test_csv_has_a_row_for_each_result_and_each_part(reports: list[Path]) -> None:
    result = run("compare", *reports, "--format", "csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    whole = [row for row in rows if row["kind"] == "all"]
    results = json.loads(run("compare", *reports, "--format", "json").stdout)["results"]
    assert [row["model"] for row in whole] == [row["model"] for row in results]
    assert [float(row["age_mae"]) for row in whole] == [row["age_mae"] for row in results]
    bands = {row["part"]: row["n"] for row in rows if row["kind"] == "band" and row["model"] == whole[0]["model"]}
    assert bands == {name: str(part["n"]) for name, part in results[0]["parts"]["band"].items()}


def test_a_single_report_can_be_held_against_limits(reports: list[Path]) -> None:
    assert run("compare", reports[1], "--fail-under", "age_mae=3").exit_code == 0
    broken = run("compare", reports[0], "--fail-under", "age_mae=3")
    assert broken.exit_code == 1
    assert "guess on ages: age_mae is" in broken.stderr


def test_other_faces_of_one_name_are_refused(reports: list[Path], make_store: Any, tmp_path: Path) -> None:
    other = write_report([evaluate(Guess(1.0), make_store("ages", 20, exact=True), rounds=0)], tmp_path / "other")
    result = run("compare", reports[0], other)
    assert "made on different faces that are both called ages" in str(result.exception)
    result = run("compare", reports[0], tmp_path / "nothing")
    assert isinstance(result.exception, FileNotFoundError)
    assert "holds no report" in str(result.exception)


def test_a_card_replaces_nothing_that_it_is_made_of(reports: list[Path], tmp_path: Path) -> None:
    template, link = tmp_path / "template.md", tmp_path / "link.md"
    template.write_text("{{model}}", "utf-8")
    link.symlink_to(template)
    hard = tmp_path / "hard.md"
    hard.hardlink_to(template)
    for output in (template, link, hard, reports[0] / "metrics.json", tmp_path):
        result = run("card", reports[0], "--model", "guess", "--template", template, "--output", output)
        assert isinstance(result.exception, UserError), output
    assert template.read_text("utf-8") == "{{model}}"
    near = run("card", reports[0], "--model", "gess", "--output", tmp_path / "card.md")
    assert near.exception is not None
    assert near.exception.__notes__ == ["did you mean guess?"]


def test_a_card_is_written(reports: list[Path], tmp_path: Path) -> None:
    figures = json.loads((reports[0] / "metrics.json").read_text())["results"][0]
    template, out = tmp_path / "template.md", tmp_path / "card.md"
    template.write_text("Error: {{ages.age_mae}} – {{model}}", "utf-8")
    result = run("card", reports[0], "--model", "guess", "--template", template, "--output", out)
    assert result.exit_code == 0, (result.output, result.exception)
    assert out.read_text("utf-8") == f"Error: {figures['age_mae']:.2f} – guess"
    plain = run("card", reports[0], "--model", "guess", "--output", out)
    assert plain.exit_code == 0
    assert "## Figures" in out.read_text("utf-8")
    missing = run("card", reports[0], "--model", "other", "--output", out)
    assert "has no model 'other'; it has guess" in str(missing.exception)
