from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.runs import runs

app = typer.Typer()
app.command()(runs)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def make_run(folder: Path, mae: float, accuracy: float | None = None, **settings: Any) -> Path:
    """A finished run of one epoch."""
    (folder / "checkpoints").mkdir(parents=True)
    config = {
        "settings": {"model": "ssrnet", "epochs": 1, **settings},
        "data": [{"name": "fgnet"}, {"name": "utkface"}],
        "faces": {"training": 900, "validation": 100},
    }
    (folder / "config.json").write_text(json.dumps(config))
    exact = mae if accuracy is None else ""
    (folder / "history.csv").write_text(
        "epoch,faces_per_second,val_loss,val_age_mae,val_middle_mae,val_interval_mae,val_group_accuracy\n"
        f"1,123.4,1.25,{exact},{mae},{mae},{'' if accuracy is None else accuracy}\n"
    )
    (folder / "model.onnx").touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "one", 7.5, licence="CC BY")
    make_run(tmp_path / "two", 6.25, learning_rate=0.01)
    return tmp_path


def test_runs_are_listed(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    title, one, two = result.stdout.splitlines()
    titles = ["run", "state", "network", "data", "n", "n val", "epochs", "best", "loss", "age MAE", "faces/s"]
    assert [word for word in titles if word in title] == titles
    # Of known ages alone, the error to the middle and to the group would be the same again.
    assert not {"to middle", "to group", "in group", "gender"} & set(title.split("  "))
    assert " ".join(one.split()[1:]) == (
        "finished ssrnet fgnet+utkface 900 100 1/1 1 1.250 7.50 123 learning_rate=0.004 licence='CC BY'"
    )
    assert two.split()[-2:] == ["learning_rate=0.01", "licence=''"]
    assert len(one.split("differs")[0]) > title.index("faces/s")


def test_they_are_sorted_by_a_figure(folder: Path) -> None:
    make_run(folder / "zero", 8.0, accuracy=0.5)
    order = [row["run"] for row in json.loads(run(folder, "--sort", "middle_mae", "--format", "json").stdout)]
    assert [Path(name).name for name in order] == ["two", "one", "zero"]
    title, first, *_ = run(folder, "--sort", "group_accuracy").stdout.splitlines()
    assert {"to middle", "to group", "in group"} <= {word.strip() for word in title.split("  ")}
    assert first.startswith(str(folder / "zero"))
    assert "50.0%" in first
    result = run(folder, "--sort", "beauty")
    assert "sort must be one of val_loss" in str(result.exception)


def test_json_and_csv_say_the_same(folder: Path) -> None:
    rows = json.loads(run(folder, "--format", "json").stdout)
    table = list(csv.DictReader(run(folder, "--format", "csv").stdout.splitlines()))
    assert [row["run"] for row in table] == [row["run"] for row in rows] == [str(folder / "one"), str(folder / "two")]
    assert rows[0]["differs"] == {"learning_rate": 0.004, "licence": "CC BY"}
    assert table[0]["differs"] == "learning_rate=0.004 licence='CC BY'"
    assert table[0]["data"] == "fgnet utkface"
    assert float(table[1]["age_mae"]) == rows[1]["age_mae"] == 6.25
    assert (table[1]["gender_accuracy"], rows[1]["gender_accuracy"]) == ("", None)


def test_a_damaged_run_keeps_none_of_the_others_back(folder: Path) -> None:
    (folder / "two" / "config.json").write_text("{")
    result = run(folder)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert f"{folder / 'two' / 'config.json'} is damaged" in result.stderr
    whole, damaged = json.loads(run(folder, "--format", "json").stdout)
    assert (whole["error"], damaged["run"]) == (None, str(folder / "two"))
    assert "is damaged" in damaged["error"]
    *_, last = csv.DictReader(run(folder, "--format", "csv").stdout.splitlines())
    assert "is damaged" in last["error"]
    (folder / "one" / "config.json").write_text("[]")
    assert [row["error"] is None for row in json.loads(run(folder, "--format", "json").stdout)] == [False, False]
    assert run(folder).exit_code == 0


def test_a_folder_without_runs_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path} holds no run" in str(run(tmp_path).exception)


def test_it_needs_no_framework(folder: Path) -> None:
    program = (
        "import sys; from agegender_cli.main import app; app(sys.argv[1:], standalone_mode=False);"
        "assert not {'keras', 'tensorflow', 'jax', 'pyarrow'} & {*sys.modules}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "runs", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
