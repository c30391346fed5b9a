"""The whole road once, by the README's commands: raw pictures -> store -> training -> model file -> photo and video."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_core import read_image

AGEGENDER = Path(sys.executable).parent / "agegender"
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def agegender(*arguments: object) -> str:
    """What the command says on stdout; TensorFlow, its converter and ONNX Runtime would say much on stderr."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [str(AGEGENDER), *map(str, arguments), "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert [line for line in run.stderr.splitlines() if not line.endswith("is ready")] == [], arguments
    return run.stdout


def make_dataset(folder: Path, count: int) -> None:
    """The astronaut lighter and darker, named as UTKFace names its files: the lighter the older, red for women."""
    folder.mkdir()
    portrait = read_image(SAMPLES / "astronaut.jpg")[30:230, 120:320].astype(np.float32)
    rng = np.random.default_rng(3)
    for number in range(count):
        age, female = int(rng.integers(5, 80)), int(rng.integers(0, 2))
        tint = np.array([1.1, 1, 0.8] if female else [0.8, 1, 1.1], np.float32)
        picture = portrait * tint * (0.6 + age / 130) + rng.normal(0, 4, portrait.shape)
        name = f"{age}_{female}_0_2017010900000{number:04d}.jpg"
        cv2.imwrite(str(folder / name), np.clip(picture, 0, 255).astype(np.uint8)[..., ::-1])


@pytest.mark.slow
def test_from_pictures_to_ages(tmp_path: Path) -> None:
    pictures, store, run, report = (tmp_path / name for name in ("pictures", "store", "run", "report"))
    make_dataset(pictures, 60)
    # All are one portrait, which is what near-duplicates are.
    agegender("preprocess", "utkface", pictures, "--output", store, "--near-duplicates", 0)
    audit = json.loads((store / "audit.json").read_text())
    assert audit["pictures"] == audit["kept"] + sum(audit["rejected"].values()) == 60
    assert audit["kept"] > 50

    agegender("train", store, "--model", "ssrnet", "--output", run, "--epochs", 2, "--batch-size", 16)
    losses = [float(line.split(",")[1]) for line in (run / "history.csv").read_text().splitlines()[1:]]
    assert losses[1] < losses[0]
    assert {"config.json", "history.csv", "history.png", "model.onnx"} <= {path.name for path in run.iterdir()}

    agegender("export", run, "--to", "tflite")
    agegender("export", run, "--to", "keras")
    agegender("export", run, "--precision", "int8", "--calibration", store)
    assert {"model.tflite", "model.keras", "model-int8.onnx"} <= {path.name for path in run.iterdir()}

    agegender("eval", store, "--model", run / "model.onnx", "--output", report)
    (result,) = json.loads((report / "metrics.json").read_text())["results"]
    assert result["n"] == audit["kept"]
    assert {"age_mae", "cs5", "gender_accuracy"} <= result.keys()

    out = agegender("predict", SAMPLES / "astronaut.jpg", "--model", run / "model.onnx", "--format", "json")
    (face,) = json.loads(out)[0]["faces"]
    assert 0 <= face["p_male"] <= 1

    video, tracks = tmp_path / "faces.mp4", tmp_path / "faces.jsonl"
    agegender(
        *("stream", SAMPLES / "astronaut.mp4", "--no-show", "--model", run / "model.onnx"),
        *("--output", video, "--tracks", tracks),
    )
    frames = [json.loads(line) for line in tracks.read_text().splitlines()]
    assert [frame["frame"] for frame in frames] == list(range(90))
    ids = {face["track_id"] for frame in frames for face in frame["faces"]}
    assert ids - {-1} == {1}
    capture = cv2.VideoCapture(str(video))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 90
    capture.release()
