"""The times of the stages and of the models: each is there, and says what it is of. No time is asserted."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from agegender_core import images, load_predictor, write_image
from agegender_core.benchmark import SAMPLE, describe_machine, hardware_line, measure_models, measure_stages, stages
from agegender_core.benchmark.timing import time_by_turns, time_calls

STAGES = [
    "decode",
    "detect",
    "detect by hog",
    "align",
    "preprocess",
    "predict (network alone)",
    "predict (with preprocess)",
    "predict, batch of 32",
    "track",
    "track by sort",
    "draw",
    "decode to predict",
]


def assert_figures(row: dict[str, Any]) -> None:
    assert 0 < row["min_ms"] <= row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
    assert row["runs"] >= 3
    assert row["per_second"] == pytest.approx(1000 * row["items"] / row["median_ms"])
    assert row["cpu_ms"] >= 0


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_runtimes_are_an_axis_of_their_own() -> None:
    rows = measure_models(["tiny"], [1, 2], [1], seconds=0, runtime=["onnxruntime", "openvino"])["rows"]
    assert [(row["device"], row["batch"]) for row in rows] == [
        *(("CPUExecutionProvider", 1), ("CPUExecutionProvider", 2), ("OpenVINO", 1), ("OpenVINO", 2)),
    ]


def test_each_stage_is_timed_and_decoding_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def decode(data: bytes, name: str) -> images.Frame:
        decoded.append(data)
        return images.decode_image(data, name)

    monkeypatch.setattr(stages, "decode_image", decode)
    report = measure_stages(SAMPLE, "tiny", seconds=0.01)
    assert [stage["name"] for stage in report["stages"]] == STAGES
    times = {stage["name"]: stage for stage in report["stages"]}
    # Two calls each warm up.
    assert len(decoded) == times["decode"]["runs"] + times["decode to predict"]["runs"] + 4
    assert set(decoded) == {SAMPLE.read_bytes()}
    assert times["decode to predict"]["median_ms"] > times["decode"]["median_ms"]
    assert (report["picture"], report["width"], report["height"], report["faces"]) == (SAMPLE.name, 512, 400, 1)
    assert (report["model"], report["threads"]) == ("ssrnet", 1)
    assert report["machine"] == describe_machine()
    for stage in report["stages"]:
        assert_figures(stage)
        assert stage["items"] == (32 if "32" in stage["name"] else 1)


def test_a_picture_without_a_face_and_no_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "grey.png", np.full((100, 100, 3), 128, np.uint8))
    with pytest.raises(ValueError, match=r"grey.png: no face was found"):
        measure_stages(tmp_path / "grey.png", seconds=0.01)
    with pytest.raises(FileNotFoundError):
        measure_stages(tmp_path / "gone.png")


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["cpu"]
    assert 1 <= machine["usable_cpus"] <= machine["cpus"]
    assert machine["simd"] in ("baseline", "x86-64-v3")
    line = hardware_line(machine)
    assert "\n" not in line
    for part in (machine["cpu"], machine["system"], *machine["versions"].values()):
        assert part in line
    json.dumps(machine)


def test_calls_are_counted_and_short_ones_timed_by_the_dozen() -> None:
    calls = []
    short = time_calls(lambda: calls.append(1), 0.01)
    assert short["runs"] == len(calls) - 2
    assert short["runs"] > 100
    assert_figures(short)
    slow = time_calls(lambda: time.sleep(0.002), 0, items=4)
    assert slow["runs"] == 3
    assert slow["items"] == 4
    assert slow["min_ms"] >= 2
    assert_figures(slow)


def test_who_is_slower_has_a_ratio_above_one() -> None:
    ends: list[str] = []

    def call(name: str, seconds: float) -> None:
        time.sleep(seconds)
        ends.append(name)

    times = time_by_turns(lambda: call("ours", 0.002), lambda: call("theirs", 0.02), 0)
    assert ends[4:] == ["ours", "theirs"] * 3
    ratio = times["ratio"]
    assert 1 < ratio["p10"] <= ratio["median"] <= ratio["p90"]
    assert times["ours"]["median_ms"] < times["theirs"]["median_ms"]


def test_models_by_batch_and_threads_with_what_their_files_say() -> None:
    report = measure_models(["tiny", "mobilenetv2"], [1, 3], [1, 2], seconds=0)
    rows = report["rows"]
    assert [(row["model"], row["threads"], row["batch"]) for row in rows] == [
        (model, threads, batch) for model in ("tiny", "mobilenetv2") for threads in (1, 2) for batch in (1, 3)
    ]
    for row in rows:
        assert_figures(row)
        assert row["items"] == row["batch"]
        assert row["ms_per_face"] == row["median_ms"] / row["batch"]
        assert row["load_ms"] > row["min_ms"] / row["batch"]
    for about, name in zip(report["models"], ("ssrnet", "mobilenetv2"), strict=True):
        predictor = load_predictor(name)
        (stated,) = json.loads(predictor.metadata["agegender.metrics"])
        figures = about["figures"]
        assert (about["network"], about["precision"], about["looks"]) == (name, "fp16", 2)
        assert about["bytes"] == predictor.path.stat().st_size
        assert figures["source"] == "model file"
        assert figures["interval_mae"] == stated["interval_mae"]
        assert figures["gender_accuracy"] == stated["gender_accuracy"]
        assert figures["n"] == stated["n"]
        assert "age_mae" not in figures


def report_file(path: Path, **changes: Any) -> Path:
    training = json.loads(load_predictor("tiny").metadata["agegender.training"])
    row = {"model": "ssrnet", "test_set": "groups", "part": None, "training": training, "n": 5, "age_mae": None}
    row |= {"interval_mae": 2.5, "gender_accuracy": 0.75}
    known = {**row, "test_set": "known", "n": 7, "age_mae": 6.5, "interval_mae": 6.5}
    part = {**known, "part": {"fold": 1}, "age_mae": 1.0}
    path.write_text(json.dumps({"results": [{**one, **changes} for one in (row, part, known)]}))
    return path


def test_a_report_takes_the_place_of_what_the_file_says(tmp_path: Path) -> None:
    report = report_file(tmp_path / "metrics.json")
    tested, untested = measure_models(["tiny", "fast"], [1], [1], 0, report=report)["models"]
    figures = {"source": "report", "test_set": "known", "n": 7, "age_mae": 6.5, "interval_mae": 6.5}
    assert tested["figures"] == figures | {"gender_accuracy": 0.75}
    assert untested["figures"] is None


def test_a_report_of_another_model_or_of_none_is_refused(tmp_path: Path) -> None:
    other = report_file(tmp_path / "metrics.json", training={"n": 3})
    with pytest.raises(ValueError, match="tested another ssrnet"):
        measure_models(["tiny"], [1], [1], 0, report=other)
    for content in ("{", "[]", '{"results": 3}', '{"results": [{"name": 1}]}'):
        other.write_text(content)
        with pytest.raises(ValueError, match=r"metrics\.json is no metrics\.json of agegender eval"):
            measure_models(["tiny"], [1], [1], 0, report=other)
    with pytest.raises(FileNotFoundError):
        measure_models(["tiny"], [1], [1], 0, report=tmp_path / "gone.json")


def test_of_a_file_that_says_nothing_no_accuracy_is_made_up(tmp_path: Path) -> None:
    model = onnx.load(str(load_predictor("tiny").path))
    kept = [one for one in model.metadata_props if one.key not in ("agegender.metrics", "agegender.export")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, str(tmp_path / "bare.onnx"))
    (about,) = measure_models([tmp_path / "bare.onnx"], [1], [1], 0)["models"]
    assert about["figures"] is None
    assert about["precision"] == "fp32"
