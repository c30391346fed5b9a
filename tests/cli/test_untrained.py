"""A model that had no genders, or no ages, to learn from: no command makes any up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from agegender_cli.main import app
from agegender_train.store import Store

MakeStore = Callable[..., Store]


class Half(NamedTuple):
    """A model without one head, and a store whose faces have labels for both."""

    untrained: str
    run: Path
    model: Path
    store: Store


def agegender(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module", params=["age", "gender"])
def half(
    request: pytest.FixtureRequest, make_store: MakeStore, tiny_network: str, tmp_path_factory: pytest.TempPathFactory
) -> Half:
    without: dict[str, Any] = {"age": {"aged": False}, "gender": {"genders": (None,)}}[request.param]
    run = tmp_path_factory.mktemp("runs") / "half"
    store = make_store("without", n=48, **without)
    words = ("--model", tiny_network, "--epochs", 1, "--batch-size", 16, "--output", run)
    result = agegender("train", store.path, *words)
    said = {"age": "The model gives no ages", "gender": "The model gives no genders"}[request.param]
    assert said in result.stderr
    assert {"age": "age error", "gender": "gender accuracy"}[request.param] not in result.stdout
    return Half(request.param, run, run / "model.onnx", make_store("both", n=120, exact=True))


SILENT = {"age": ("age", "age_std", "age_interval"), "gender": ("gender", "p_male")}


@pytest.mark.slow
def test_predict_answers_null(half: Half, astronaut_path: Path, tmp_path: Path) -> None:
    words = ("predict", astronaut_path, "--model", half.model)
    (row,) = json.loads(agegender(*words, "--format", "json", "--output", tmp_path / "drawn").stdout)
    (face,) = row["faces"]
    assert [face[name] for name in SILENT[half.untrained]] == [None] * len(SILENT[half.untrained])
    assert face[{"age": "gender", "gender": "age"}[half.untrained]] is not None
    (line,) = csv.DictReader(agegender(*words, "--format", "csv").stdout.splitlines())
    assert {line[name] for name in SILENT[half.untrained] if name in line} == {""}
    (shown,) = (line for line in agegender(*words).stdout.splitlines() if "astronaut" in line)
    assert ("male" in shown) == (half.untrained == "age")
    assert ("±" in shown) == (half.untrained == "gender")


@pytest.mark.slow
def test_stream_answers_null(half: Half, astronaut_path: Path) -> None:
    video = astronaut_path.with_suffix(".mp4")
    lines = agegender("stream", video, "--model", half.model, "--no-show", "--tracks", "-", "--quiet").stdout
    faces = [face for line in lines.splitlines() for face in json.loads(line)["faces"]]
    assert faces
    known = {"age": "gender", "gender": "age"}[half.untrained]
    for face in faces:
        assert [face[name] for name in SILENT[half.untrained]] == [None] * len(SILENT[half.untrained])
        assert face[known] is not None


@pytest.mark.slow
def test_eval_calibrate_and_export_leave_it_out(half: Half, tmp_path: Path) -> None:
    figure = {"age": "age_mae", "gender": "gender_accuracy"}[half.untrained]
    words = ("eval", half.store.path, "--model", half.model, "--output", tmp_path / "report", "--format", "json")
    (result,) = json.loads(agegender(*words).stdout)["results"]
    assert result[figure] is None
    assert result["untrained"] == [half.untrained]

    out = tmp_path / "calibrated.onnx"
    calibrated = agegender("calibrate", half.model, half.store.path, "--output", out, "--format", "json")
    found = json.loads(calibrated.stdout)
    assert found["heads"][half.untrained]["trained"] is False
    assert not {"interval", "temperature"} & found["heads"][half.untrained].keys()
    assert found["after"][figure] is None
    assert f"The {half.untrained} is not calibrated: the model has not learned any." in calibrated.stderr

    exported = json.loads(agegender("export", half.run, "--output", tmp_path / "e.onnx", "--format", "json").stdout)
    unknown = {"age": ("years", "mean_years"), "gender": ("p_male", "mean_p_male")}
    for head, names in unknown.items():
        assert [exported["difference"][name] is None for name in names] == [head == half.untrained] * 2
    agegender("eval", half.store.path, "--model", tmp_path / "e.onnx", "--output", tmp_path / "of-export")
    table = agegender("compare", tmp_path / "report", tmp_path / "of-export").stdout
    assert {"age": "age MAE", "gender": "gender"}[half.untrained] not in table
