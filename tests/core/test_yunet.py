from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core import Aligner, Faces, Frame, HogDetector, Pipeline, YuNetDetector, open_source, read_image
from agegender_core.predict import DEFAULT_MODEL_PATH
from agegender_core.yunet import YUNET_PATH


@pytest.fixture(scope="module")
def model(shared_data: Path) -> Path:
    return shared_data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def portrait(astronaut_path: Path) -> Frame:
    return read_image(astronaut_path)


def sides_and_centres(faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    return faces.xyxy[:, 2] - faces.xyxy[:, 0], (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2


def test_the_file_in_the_wheel_is_opencvs_with_inputs_of_any_size(model: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "make_yunet_dynamic.py"
    made = tmp_path / "yunet.onnx"
    subprocess.run([sys.executable, script, model, made], check=True)
    assert made.read_bytes() == YUNET_PATH.read_bytes()


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_it_finds_what_opencv_finds(model: Path, shared_data: Path, portrait: Frame, threshold: float) -> None:
    detector, found = YuNetDetector(threshold=threshold), 0
    photos = [read_image(path) for path in sorted((shared_data / "photos").rglob("*.jpg"))[:12]]
    for frame in [portrait, portrait[:333, 40:471], *photos]:
        side = max(frame.shape[:2])
        small = np.asarray(
            cv2.resize(frame, None, fx=640 / side, fy=640 / side, interpolation=cv2.INTER_AREA), np.uint8
        )
        height, width = small.shape[:2]
        opencv = cv2.FaceDetectorYN.create(str(model), "", (width, height), threshold)
        rows = opencv.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        rows = np.empty((0, 15), np.float32) if rows is None else rows[np.argsort(-rows[:, 14], kind="stable")]
        boxes, points, scores = detector.find(small)
        ours = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], points.reshape(-1, 10)])
        np.testing.assert_allclose(ours, rows[:, :14], atol=0.1)
        np.testing.assert_allclose(scores, rows[:, 14], atol=1e-4)
        found += len(rows)
    assert found > 20


def test_opencvs_own_file_is_the_same_network(model: Path, portrait: Frame) -> None:
    ours, zoo = YuNetDetector(), YuNetDetector(model)
    assert ours.model_sha256 != zoo.model_sha256
    np.testing.assert_array_equal(ours(portrait, Faces.empty()).xyxy, zoo(portrait, Faces.empty()).xyxy)


def test_a_pipeline_takes_it_by_name(astronaut_path: Path) -> None:
    frame = read_image(astronaut_path)
    pipeline = Pipeline.for_pictures("ssrnet", detector="yunet")
    faces = pipeline(frame)
    assert isinstance(pipeline.stages[0], YuNetDetector)
    assert len(faces) == 1
    assert faces.age is not None
    assert 20 < faces.age[0] < 50
    by_stage = Pipeline.for_pictures("ssrnet", detector=YuNetDetector())(frame)
    np.testing.assert_array_equal(faces.age, by_stage.age)


@pytest.mark.parametrize(
    ("detector", "threshold", "followed"),
    [("hog", None, -0.2), ("hog", -9.9, -9.95), ("yunet", None, 0.4), ("yunet", 0.8, 0.6), ("yunet", 0.1, 0.05)],
)
def test_faces_that_are_followed_may_score_less(detector: str, threshold: float | None, followed: float) -> None:
    first, *_ = Pipeline.for_video("ssrnet", detector=detector, threshold=threshold).stages
    assert isinstance(first, HogDetector | YuNetDetector)
    assert first.threshold == pytest.approx(followed)


@pytest.mark.parametrize(("detector", "threshold"), [("hog", 10.0), ("yunet", 1.0), ("yunet", 0.0)])
def test_a_threshold_out_of_range_is_named_as_it_was_given(detector: str, threshold: float) -> None:
    with pytest.raises(ValueError, match=rf"threshold must lie between .*, got {threshold}"):
        Pipeline.for_video("ssrnet", detector=detector, threshold=threshold)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "dlib"}, "detector must be hog or yunet or a stage, got 'dlib'"),
        ({"detector": "yunet", "upsample": 1}, "upsample is for the hog detector"),
        ({"detector": HogDetector(), "threshold": 0.5}, "for the detectors that are chosen by name"),
    ],
)
def test_options_of_another_detector_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pipeline.for_pictures("ssrnet", **options)


def test_its_box_is_like_that_of_hog(portrait: Frame) -> None:
    ours, hog = YuNetDetector()(portrait, Faces.empty()), HogDetector()(portrait, Faces.empty())
    assert ours.xyxy.shape == (1, 4)
    assert ours.score is not None
    assert 0.6 < ours.score[0] <= 1
    (side, centre), (hog_side, hog_centre) = sides_and_centres(ours), sides_and_centres(hog)
    assert side / hog_side == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(centre, hog_centre, atol=0.15 * hog_side[0])
    aligner = Aligner()
    a, b = (np.asarray(aligner(portrait, faces).landmarks)[0] for faces in (ours, hog))
    eyes = np.linalg.norm(b[:2].mean(axis=0) - b[2:4].mean(axis=0))
    assert np.linalg.norm(a - b, axis=1).mean() < 0.08 * eyes


def test_boxes_are_those_of_the_whole_frame_when_it_is_reduced(portrait: Frame) -> None:
    large = cv2.resize(portrait, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    (box,) = YuNetDetector(max_side=512)(large, Faces.empty()).xyxy  # type: ignore[arg-type]
    np.testing.assert_allclose(box / 4, YuNetDetector()(portrait, Faces.empty()).xyxy[0], atol=4)


def test_frames_of_any_shape_and_without_faces(portrait: Frame) -> None:
    detector = YuNetDetector()
    for shape in ((1, 1), (7, 3000), (333, 17)):
        found = detector(np.full((*shape, 3), 90, np.uint8), Faces.empty())
        assert found.xyxy.shape == (0, 4)
        assert found.score is not None
    assert len(detector(portrait, Faces.empty())) == 1


def test_many_threads_give_what_one_gives(portrait: Frame) -> None:
    detector = YuNetDetector()
    frames = [np.ascontiguousarray(portrait[: 400 - 20 * (i % 4), : 512 - 10 * (i % 3)]) for i in range(24)]
    alone = [detector(frame, Faces.empty()) for frame in frames]
    with ThreadPoolExecutor(4) as executor:
        together = list(executor.map(lambda frame: detector(frame, Faces.empty()), frames))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.xyxy, b.xyxy)
        np.testing.assert_array_equal(a.score, b.score)


def test_it_finds_the_faces_of_the_street(shared_data: Path) -> None:
    with open_source(shared_data / "clips" / "street-9-faces-1080p.mp4") as source:
        frame = next(iter(source)).image
    assert len(YuNetDetector()(frame, Faces.empty())) >= 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold must lie between 0 and 1, got 0"),
        ({"threshold": 1.5}, "threshold must lie between 0 and 1, got 1.5"),
        ({"max_side": 10}, "max_side must be in 64..8192 pixels, got 10"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        YuNetDetector("model.onnx", **options)  # type: ignore[arg-type]


def test_what_is_no_model_gives_one_clear_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="no model file at"):
        YuNetDetector(tmp_path / "gone.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        YuNetDetector(tmp_path)
    for content in (b"", b"hello", b"version https://git-lfs.github.com/spec/v1\n", DEFAULT_MODEL_PATH.read_bytes()):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no YuNet model: take face_detection") as caught:
            YuNetDetector(path)
        assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


def test_it_can_be_pickled(model: Path, portrait: Frame) -> None:
    detector = YuNetDetector(model, threshold=0.5, max_side=640)
    again = pickle.loads(pickle.dumps(detector))
    assert (again.threshold, again.max_side) == (0.5, 640)
    assert np.array_equal(again(portrait, Faces.empty()).xyxy, detector(portrait, Faces.empty()).xyxy)
