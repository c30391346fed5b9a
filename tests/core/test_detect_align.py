"""Boxes, landmarks and chips beside dlib's own Python."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pytest

from agegender_core import Aligner, Faces, HogDetector, _core, iou, read_image
from agegender_core.align import LANDMARKS_PATH
from agegender_core.detect import make_detector
from agegender_core.native import native

PICTURES = {".jpg", ".png"}


@pytest.fixture(scope="module")
def astronaut(astronaut_path: Path) -> np.ndarray:
    return read_image(astronaut_path)


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> dict[str, np.ndarray]:
    paths = sorted(path for path in (shared_data / "photos").rglob("*") if path.suffix in PICTURES)
    assert len(paths) > 15
    return {path.name: read_image(path) for path in paths}


def half_open(rectangles: Iterable[dlib.rectangle]) -> list[list[int]]:
    """Boxes; dlib's right and bottom are the last pixel inside."""
    return [[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in rectangles]


def assert_as_dlib(image: np.ndarray, upsample: int = 0) -> int:
    """Detect, predict and cut by both; everything equal. Returns the number of faces."""
    rectangles, scores, _ = dlib.get_frontal_face_detector().run(image, upsample, 0.0)
    found = HogDetector(upsample)(image, Faces.empty())
    assert found.xyxy.tolist() == half_open(rectangles)
    assert found.score is not None
    np.testing.assert_allclose(found.score, scores, atol=1e-4)

    predictor = dlib.shape_predictor(str(LANDMARKS_PATH))
    for size, padding in ((140, 0.4), (64, 0.25), (301, 0.0)):
        ours = Aligner(size, padding)(image, found)
        assert ours.landmarks is not None
        assert ours.chips is not None
        for row, rectangle in enumerate(rectangles):
            shape = predictor(image, rectangle)
            assert ours.landmarks[row].tolist() == [[p.x, p.y] for p in shape.parts()]
            np.testing.assert_array_equal(ours.chips[row], dlib.get_face_chip(image, shape, size, padding))
    return len(rectangles)


@pytest.mark.parametrize("build", [native(), _core], ids=["native", "baseline"])
def test_the_sample_is_as_dlib_has_it(build: Any, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("align", "detect"):
        monkeypatch.setattr(f"agegender_core.{module}.native", lambda: build)
    assert assert_as_dlib(astronaut) == 1


@pytest.mark.slow
def test_all_photos_are_as_dlib_has_them(photos: dict[str, np.ndarray]) -> None:
    faces = sum(assert_as_dlib(image) for image in photos.values())
    assert faces > 30


def test_upsampled_photos_are_as_dlib_has_them(photos: dict[str, np.ndarray]) -> None:
    assert assert_as_dlib(photos["2008_002506.jpg"], upsample=1) > 0


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_the_detector_is_dlibs_at_any_size_and_threshold(astronaut: np.ndarray, grey: bool) -> None:
    theirs, ours = dlib.get_frontal_face_detector(), HogDetector(threshold=-1.0)
    rng = np.random.default_rng(5)
    found = 0
    for scale in (0.2, 0.31, 0.5, 0.77, 1.3, 1.9):
        picture = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        noisy = np.clip(picture + rng.normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
        for image in (picture, noisy, np.ascontiguousarray(picture[:, ::-1])):
            seen = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if grey else image
            rectangles, scores, _ = theirs.run(seen, 0, -1.0)
            faces = ours(seen, Faces.empty())
            assert faces.xyxy.tolist() == half_open(rectangles)
            np.testing.assert_allclose(faces.score, scores, atol=1e-4)
            found += len(faces)
    assert found > 30


def test_faces_at_the_edge_and_turned(astronaut: np.ndarray) -> None:
    """Chips that reach beyond the picture are black there, as dlib's are."""
    cropped = np.ascontiguousarray(astronaut[40:300, 150:320])
    assert assert_as_dlib(cropped) == 1


@pytest.mark.slow
def test_baseline_build_finds_the_same(astronaut_path: Path) -> None:
    program = (
        "import sys; from agegender_core import Faces, HogDetector, read_image; d = HogDetector(threshold=-0.5);"
        "f = d(read_image(sys.argv[1]), Faces.empty());"
        "print(d.simd, f.xyxy.tolist(), (f.score * 1e3).round().tolist())"
    )
    outputs = []
    for simd in ("baseline", ""):
        run = subprocess.run(
            [sys.executable, "-c", program, str(astronaut_path)],
            env={**os.environ, "AGEGENDER_SIMD": simd},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(run.stdout.split(" ", 1))
    assert outputs[0][0] == "baseline"
    assert outputs[0][1] == outputs[1][1]
    if _core.cpu_supports_x86_64_v3():
        assert outputs[1][0] == "x86-64-v3"


@pytest.mark.slow
def test_the_fast_search_finds_the_same_faces(photos: dict[str, np.ndarray]) -> None:
    exact, fast = HogDetector(), HogDetector(exact=False)
    faces = near = others = 0
    for image in photos.values():
        expected, found = exact(image, Faces.empty()), fast(image, Faces.empty())
        overlaps = iou(expected.xyxy, found.xyxy)
        faces += len(expected)
        near += int((overlaps.max(1, initial=0) >= 0.7).sum())
        others += int((overlaps.max(0, initial=0) < 0.7).sum())
    assert faces > 30
    assert near >= 0.99 * faces
    assert others == 0


@pytest.mark.parametrize("exact", [True, False])
def test_threads_find_the_same(astronaut: np.ndarray, exact: bool) -> None:
    expected = HogDetector(1, -0.5, exact=exact)(astronaut, Faces.empty())
    assert len(expected) > 0
    for threads in (2, 3, 16):
        found = HogDetector(1, -0.5, exact=exact, threads=threads)(astronaut, Faces.empty())
        assert found.xyxy.tolist() == expected.xyxy.tolist()
        assert np.array_equal(np.asarray(found.score), np.asarray(expected.score))


def test_smaller_faces_are_left_out(astronaut: np.ndarray) -> None:
    face = HogDetector()(astronaut, Faces.empty())
    side = float(face.xyxy[0, 2] - face.xyxy[0, 0])
    assert HogDetector(min_face=side)(astronaut, Faces.empty()).xyxy.tolist() == face.xyxy.tolist()
    assert len(HogDetector(min_face=2 * side)(astronaut, Faces.empty())) == 0
    assert len(make_detector("hog-fast", min_face=2 * side)(astronaut, Faces.empty())) == 0


def test_a_detector_is_pickled_with_its_options() -> None:
    made = pickle.loads(pickle.dumps(HogDetector(1, -0.5, exact=False, min_face=90, threads=2)))
    assert (made.upsample, made.threshold, made.exact, made.min_face, made.threads) == (1, -0.5, False, 90, 2)


@pytest.mark.parametrize("options", [{"min_face": -1}, {"min_face": float("nan")}, {"threads": 0}, {"upsample": 5}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        HogDetector(**options)


def test_grey_and_many_threads(astronaut: np.ndarray) -> None:
    detector = HogDetector()
    grey = np.ascontiguousarray(astronaut[..., 1])
    expected = detector(grey, Faces.empty())
    assert len(expected) == 1
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: detector(grey, Faces.empty()), range(12)))
    for result in results:
        assert result.xyxy.tolist() == expected.xyxy.tolist()


def test_no_faces(astronaut: np.ndarray) -> None:
    blank = np.zeros((100, 100, 3), np.uint8)
    found = Aligner(32)(blank, HogDetector()(blank, Faces.empty()))
    assert len(found) == 0
    assert found.chips is not None
    assert found.chips.shape == (0, 32, 32, 3)


def test_given_landmarks_are_kept(astronaut: np.ndarray) -> None:
    found = Aligner()(astronaut, HogDetector()(astronaut, Faces.empty()))
    assert found.landmarks is not None
    moved = found.with_columns(landmarks=found.landmarks + 20)
    again = Aligner()(astronaut, moved)
    assert again.landmarks is moved.landmarks
    assert not np.array_equal(np.asarray(again.chips), np.asarray(found.chips))


def test_another_landmark_model(tmp_path: Path, astronaut: np.ndarray) -> None:
    copy = tmp_path / "modèle.dat"
    copy.write_bytes(LANDMARKS_PATH.read_bytes())
    aligner = Aligner(landmarks=copy)
    assert aligner.landmarks_sha256 == Aligner().landmarks_sha256
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dat"):
        Aligner(landmarks=tmp_path / "nowhere.dat")
    copy.write_bytes(b"no model")
    with pytest.raises(OSError, match="no dlib shape predictor"):
        Aligner(landmarks=copy)


def test_landmarks_are_dlibs_for_any_box_in_colour_and_grey(astronaut: np.ndarray) -> None:
    model, theirs = _core.LandmarkModel(LANDMARKS_PATH), dlib.shape_predictor(str(LANDMARKS_PATH))
    rng = np.random.default_rng(0)
    corners = rng.integers(-80, 500, (40, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, 301, (40, 2))])
    for picture in (astronaut, np.ascontiguousarray(astronaut[..., 1])):
        ours = model.predict(picture, boxes.astype(np.float32))
        for box, points in zip(boxes, ours, strict=True):
            left, top, right, bottom = map(int, box)
            parts = theirs(picture, dlib.rectangle(left, top, right - 1, bottom - 1)).parts()
            assert points.tolist() == [[point.x, point.y] for point in parts]


def test_a_damaged_landmark_model_is_refused_or_gives_points(tmp_path: Path, astronaut: np.ndarray) -> None:
    whole, path, rng = LANDMARKS_PATH.read_bytes(), tmp_path / "damaged.dat", np.random.default_rng(0)
    said = []
    for number in range(40):
        data = bytearray(whole)
        for place in rng.integers(0, len(data) if number % 2 else 400, 20):
            data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(data[: rng.integers(1, len(data))]) if number % 8 == 0 else bytes(data))
        try:
            points = Aligner(landmarks=path)._model.predict(astronaut, np.float32([[100, 50, 300, 250]]))
        except (OSError, RuntimeError) as error:
            said.append(str(error))
        else:
            assert np.isfinite(points).all()
    assert len(said) >= 20
    assert all("no dlib shape predictor" in text or "damaged" in text for text in said)


def test_bad_arguments_are_named(astronaut: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"upsample must be 0\.\.4, got 9"):
        HogDetector(upsample=9)
    with pytest.raises(ValueError, match="size must be"):
        Aligner(size=0)
    with pytest.raises(ValueError, match="padding must be"):
        Aligner(padding=-1)
    detector = HogDetector()
    with pytest.raises(ValueError, match="dtype float64"):
        detector(astronaut.astype(float), Faces.empty())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got shape \(400, 512, 1\)"):
        detector(np.ascontiguousarray(astronaut[..., :1]), Faces.empty())


def test_the_shipped_landmarks_are_small_and_near_dlibs(astronaut: np.ndarray) -> None:
    assert LANDMARKS_PATH.stat().st_size <= 2_000_000
    found = Aligner()(astronaut, HogDetector()(astronaut, Faces.empty()))
    # Where dlib's own 5-point model puts them; the eyes are 45 pixels apart.
    dlibs = np.array([[255, 104], [238, 104], [195, 101], [212, 103], [224, 134]], float)
    assert found.landmarks is not None
    assert np.linalg.norm(found.landmarks[0] - dlibs, axis=1).max() < 3
