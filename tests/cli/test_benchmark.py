"""``agegender benchmark``, as a user runs it: what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agegender_cli import benchmark as command
from agegender_cli import plots
from agegender_core import benchmark as core
from agegender_core import decode_image

from .conftest import Here

QUICK = ("--model", "tiny", "--seconds", "0.01")


def table(text: str, first: str) -> list[str]:
    """The lines of a table from the one that begins with `first`."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    return lines[start:]


def test_stages_as_a_table_with_the_machine_above(here: Here) -> None:
    result = here("benchmark", *QUICK)
    assert result.stdout.splitlines()[0] == core.hardware_line(core.describe_machine())
    head, *rows = table(result.stdout, "stage ")
    assert head.split("  ")[0] == "stage"
    assert [row.split("  ")[0] for row in rows][:3] == ["decode", "detect", "detect by hog"]
    assert rows[-1].startswith("decode to predict")
    assert result.stderr == ""


def test_stages_as_json(here: Here) -> None:
    report = json.loads(here("benchmark", *QUICK, "--format", "json").stdout)
    assert report["faces"] == 1
    assert report["machine"]["versions"]["onnxruntime"]
    names = {stage["name"] for stage in report["stages"]}
    assert {"decode", "detect", "align", "preprocess", "track", "draw", "decode to predict"} <= names
    assert all(0 < stage["min_ms"] <= stage["median_ms"] <= stage["p90_ms"] for stage in report["stages"])


def test_models_with_their_accuracy_and_a_plot(here: Here, tmp_path: Path) -> None:
    words = ("benchmark", "models", *QUICK, "--threads", 1, "--batch-size", 1, "--batch-size", 2)
    shown = here(*words, "--plot", tmp_path / "speed.png")
    head, *rows = table(shown.stdout, "model ")
    assert "ms to load" in head
    assert "to group" in head
    assert "age MAE" not in head
    assert [row.split()[:3] for row in rows[:2]] == [["tiny", "1", "1"], ["tiny", "2", "1"]]
    assert all(" 3.48 " in row and row.endswith("85.4%") for row in rows[:2])
    assert rows[2:] == [
        "Accuracy of tiny: the model file's, validation part of the training data, 2,025 faces.",
    ]
    assert decode_image((tmp_path / "speed.png").read_bytes()).shape[2] == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "speed.png"]
    lines = list(csv.DictReader(io.StringIO(here(*words, "-f", "csv").stdout)))
    assert [line["batch"] for line in lines] == ["1", "2"]
    assert float(lines[0]["gender_accuracy"]) == pytest.approx(0.8543, abs=1e-4)
    assert lines[0]["age_mae"] == ""


def test_models_with_the_figures_of_our_report(here: Here) -> None:
    report = Path(__file__).parents[2] / "docs" / "examples" / "report" / "metrics.json"
    words = ("benchmark", "models", *QUICK, "--threads", 1, "--batch-size", 1, "--report", report)
    head, row, source = table(here(*words).stdout, "model ")
    assert "to group" not in head
    assert row.split()[-2:] == ["6.38", "90.8%"]
    assert source == "Accuracy of tiny: the report's, utkface, 7,496 faces."


def test_a_report_is_its_folder_too(here: Here, tmp_path: Path) -> None:
    words = ("benchmark", "models", *QUICK, "--threads", 1, "--batch-size", 1, "--report", tmp_path)
    assert f"{tmp_path / 'metrics.json'}: No such file" in here(*words, code=2).stderr
    (tmp_path / "metrics.json").write_text('{"results": []}')
    assert "tiny: neither the model file nor a report says how accurate it is." in here(*words).stdout


def test_growth_in_words(here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = partial(core.measure_growth, faces=[1, 2], frames=["VGA"], tracks=[1, 10])
    monkeypatch.setattr(core, "measure_growth", few)
    result = here("benchmark", "growth", *QUICK, "--plot", tmp_path / "growth.svg")
    for title, count in (("faces in a frame", 4), ("size of a frame", 5), ("tracks", 2)):
        head, *rows = table(result.stdout, title)
        assert head.split()[-4:] == ["slope", "of", "large", "grows"]
        assert len(list(dict.fromkeys(rows[:count]))) == count
    assert "not known" in result.stdout
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")
    report = json.loads(here("benchmark", "growth", *QUICK, "-f", "json").stdout)
    assert {"machine", "rows", "slopes", "model", "threads"} == set(report)


def fake_peers(equal: bool) -> list[core.Comparison]:
    sides = core.Sides(lambda: 1, lambda: 1, lambda *_: "" if equal else "2 boxes of theirs, 1 of ours")
    return [
        core.Comparison("find faces", "Peer", "numpy", "the same boxes", lambda: sides),
        core.Comparison("find faces", "Gone", "no_such_module", "the same boxes", lambda: sides),
        core.Comparison("find more", "Gone", "no_such_module", "the same boxes", lambda: sides),
    ]


@pytest.mark.parametrize("equal", [True, False])
def test_a_ratio_only_beside_equal_outputs(here: Here, monkeypatch: pytest.MonkeyPatch, equal: bool) -> None:
    monkeypatch.setattr(core, "known_peers", lambda: fake_peers(equal))
    monkeypatch.setattr(command, "_keras", list)
    head, row, absent = table(here("benchmark", "peers", "--seconds", 0.01).stdout, "what ")
    assert "theirs / ours" in head
    assert ("none: outputs differ" in row) != equal
    assert row.endswith("the same boxes" if equal else "differs: 2 boxes of theirs, 1 of ours")
    assert absent == "Gone is left out: no_such_module isn't installed"
    (line, gone, _) = csv.DictReader(io.StringIO(here("benchmark", "peers", "--seconds", 0.01, "-f", "csv").stdout))
    assert (line["ratio"] != "") == equal
    assert gone["ratio"] == gone["ours_median_ms"] == ""


@pytest.mark.slow
def test_keras_gives_the_same_ages(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "known_peers", list)
    rows = json.loads(here("benchmark", "peers", "--seconds", 0.01, "-f", "json").stdout)["rows"]
    assert len(rows) == 4
    assert all(row["status"] == "compared" and row["equal"] and row["ratio"] for row in rows), rows


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["peers", "--plot", "x.png"], "--plot is for agegender benchmark models and growth, not for peers"),
        (["growth", "--picture", "x.jpg"], "--picture is for agegender benchmark stages, not for growth"),
        (["--batch-size", "3"], "--batch-size is for agegender benchmark models, not for stages"),
        (["growth", "--report", "x.json"], "--report is for agegender benchmark models, not for growth"),
        (
            ["peers", "--model", "fast"],
            "--model is for agegender benchmark stages, models and growth, not for peers",
        ),
        (["models", "--plot", "folder.png"], "--plot folder.png is a folder"),
        (
            ["peers", "--runtime", "onnxruntime"],
            "--runtime is for agegender benchmark stages and models, not",
        ),
        (["growth", "--device", "cpu"], "--device is for agegender benchmark stages and models, not for growth"),
        (
            ["--model", "fast", "--model", "tiny"],
            "--model was given 2 times, but agegender benchmark stages takes",
        ),
        (
            ["--runtime", "onnxruntime", "--runtime", "openvino"],
            "--runtime was given 2 times, but agegender benchmark stages takes",
        ),
        (
            ["growth", "--threads", "1", "--threads", "2"],
            "--threads was given 2 times, but agegender benchmark growth",
        ),
        (["models", "--plot", "x.jpg"], "--plot x.jpg: a plot is a .png or .svg file"),
        (["models", "--plot", "no/such/x.png"], "--plot no/such/x.png: there is no folder no/such"),
        (["models", "--model", "no.onnx"], "no model file at no.onnx"),
        (["models", "--report", "no.json"], "no.json"),
        (["modles"], "Did you mean models?"),
    ],
)
def test_what_is_refused(
    here: Here, words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    result = here("benchmark", *words, code=2)
    assert why in result.stderr
    assert result.stdout == ""


def test_a_plot_without_matplotlib(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, *more: Any) -> Any:
        return None if name == "matplotlib" else find_spec(name, *more)

    monkeypatch.setattr(plots, "find_spec", without)
    refused = here("benchmark", "growth", "--plot", "x.png", code=2)
    assert "--plot needs Matplotlib" in refused.stderr
    assert "agegender-core[plots]" in refused.stderr


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_the_table_says_what_ran_the_network_where_several_did(here: Here) -> None:
    words = ["benchmark", "models", "--model", "tiny", "--threads", 1, "--batch-size", 1, "--seconds", 0.01]
    table = here(*words, "--runtime", "onnxruntime", "--runtime", "openvino").stdout
    assert [line.split()[:2] for line in table.splitlines()[1:4]] == [
        *(["model", "by"], ["tiny", "CPUExecutionProvider"], ["tiny", "OpenVINO"]),
    ]
    assert here(*words, "--runtime", "openvino").stdout.splitlines()[1].split()[:2] == ["model", "faces"]
