"""MXNet's own forward pass beside our converted networks, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core.onnx_runtime import open_session
from agegender_train.baselines.insightface.conversion import build_insightface
from agegender_train.baselines.insightface.mxnet_files import read_network
from agegender_train.baselines.insightface.mxnet_to_onnx import INPUT, OPERATORS, build_network, to_model
from agegender_train.baselines.insightface.points import MEAN_POINTS, YuNetPoints
from agegender_train.baselines.insightface.predictor import cut

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/mxnet_forward.py"
FACES = 500
GREATEST = 1e-5
"""Of the differences between outputs, which are of the order of 1."""


@pytest.fixture(scope="module")
def mxnet() -> Any:
    """Runs the script with some arguments; skips where MXNet can't be installed, but fails in CI."""
    missing = None
    if (uv := shutil.which("uv")) is None:
        missing = "uv isn't installed"
    else:
        # What the tests' own environment sets must not reach the script's.
        environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
        command = [uv, "run", "--quiet", "--no-project", "--script", str(SCRIPT)]

        def run(*arguments: object) -> None:
            subprocess.run(
                [*command, *map(str, arguments)], check=True, env=environment, capture_output=True, text=True
            )

        tried = subprocess.run([*command, "--help"], env=environment, capture_output=True, text=True)
        if tried.returncode == 0:
            return run
        missing = f"MXNet can't be installed or loaded: {tried.stderr.strip()[-500:]}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def made_faces(side: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (FACES, 3, side, side)).astype(np.float32)


def theirs(mxnet: Any, folder: Path, faces: np.ndarray, tmp_path: Path) -> list[np.ndarray]:
    np.save(tmp_path / "faces.npy", faces)
    mxnet(folder, tmp_path / "faces.npy", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as saved:
        return [saved[f"output{number}"] for number in range(len(saved.files))]


@pytest.mark.slow
def test_a_network_of_all_operations(mxnet: Any, tmp_path: Path) -> None:
    mxnet("--make", tmp_path / "made")
    symbol, params = read_network(tmp_path / "made")
    # MXNet writes _plus no more: it is elemwise_add's older name.
    assert {node.op for node in symbol.nodes} - {"null"} == set(OPERATORS) - {"_plus"}
    faces = made_faces(32)
    expected = theirs(mxnet, tmp_path / "made", faces, tmp_path)
    network, outputs = build_network(symbol, params)
    model = to_model(
        network, (3, 32, 32), {name: [value.shape[1]] for name, value in zip(outputs, expected, strict=True)}
    )
    ours = open_session(model.SerializeToString(), 1, "made").run(outputs, {INPUT: faces})
    for name, value, reference in zip(outputs, ours, expected, strict=True):
        assert reference.std(axis=0).max() > 100 * GREATEST, f"{name} is the same for all faces"
        np.testing.assert_allclose(value, reference, rtol=0, atol=GREATEST, err_msg=name)


@pytest.mark.slow
def test_insightface_on_500_faces(mxnet: Any, tmp_path: Path, shared_data: Path) -> None:
    """What the model file gives agrees to 1e-5. Of the logits, which reach 390, that is a part of each face's greatest.

    MXNet's own logits are up to 3e-5 from a calculation in double precision where they are up to 7, ours up to 2e-5.
    """
    folder = shared_data / "models/insightface-gender-age"
    faces = cut_faces(shared_data)
    (expected,) = theirs(mxnet, folder, faces, tmp_path)
    session = open_session(build_insightface(folder).SerializeToString(), 1, "insightface")
    fc1, age, gender = session.run(["fc1", "age", "gender"], {INPUT: faces})
    assert expected.shape == (FACES, 202)
    np.testing.assert_allclose(gender, softmax(expected[:, :2]), rtol=0, atol=GREATEST)
    pairs = expected[:, 2:].reshape(-1, 100, 2)
    np.testing.assert_array_equal(age[:, 0], pairs.argmax(axis=2).sum(axis=1))
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(fc1 / scale, expected / scale, rtol=0, atol=GREATEST)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cut_faces(shared_data: Path) -> np.ndarray:
    """The first faces of UTKFace as the network sees them, float32 RGB (500, 3, 112, 112)."""
    chips = []
    with tarfile.open(shared_data / "utkface/UTKFace.tar") as archive:
        for member in archive:
            if member.name.endswith(".jpg") and len(chips) < FACES:
                file = archive.extractfile(member)
                assert file is not None
                bgr = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
                assert bgr is not None
                chips.append(cv2.resize(bgr, (140, 140), interpolation=cv2.INTER_AREA)[..., ::-1])
    stacked = np.ascontiguousarray(np.stack(chips))
    (model,) = (shared_data / "models/yunet").glob("*.onnx")
    points = YuNetPoints(model)(stacked)
    points[np.isnan(points[:, 0, 0])] = MEAN_POINTS
    return np.ascontiguousarray(cut(stacked, points).transpose(0, 3, 1, 2), np.float32)
