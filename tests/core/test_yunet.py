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

from agegender_core import (
    Aligner,
    Faces,
    Frame,
    HogDetector,
    Pipeline,
    YuNetDetector,
    _core,
    open_source,
    read_image,
)
from agegender_core.detect import make_detector
from agegender_core.native import native
from agegender_core.predict import MODELS_PATH
from agegender_core.upright import roll
from agegender_core.yunet import YUNET_PATH, _without_doubles


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


def plain_faces(outputs: list[Any], width: int, threshold: float) -> list[Any]:
    """The faces in the network's outputs once more, slow and plain: boxes, points and scores, best first."""
    parts = []
    for level, stride in enumerate((8, 16, 32)):
        cls, obj, box, kps = (outputs[part * 3 + level][0] for part in range(4))
        scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        down, across = np.divmod(np.arange(len(scores)), width // stride)
        cell = np.stack([across, down], axis=1).astype(np.float32)
        centre, half = (cell + box[:, :2]) * np.float32(stride), np.exp(box[:, 2:]) * np.float32(stride / 2)
        points = (cell[:, None] + kps.reshape(-1, 5, 2)) * np.float32(stride)
        parts.append((np.hstack([centre - half, centre + half]), points, scores))
    boxes, points, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    whole = np.hstack([np.trunc(boxes[:, :2]), np.trunc(boxes[:, 2:] - boxes[:, :2])]).astype(np.float64)
    rows = np.asarray(cv2.dnn.NMSBoxes(whole, scores, threshold, 0.3, top_k=5000), np.intp).reshape(-1)
    return [boxes[rows], points[rows], scores[rows]]


@pytest.mark.parametrize("build", [_core, native()], ids=["baseline", "here"])
@pytest.mark.parametrize(("seed", "ties"), [(0, False), (1, False), (2, True)])
def test_faces_of_the_outputs_are_those_of_a_plain_reading(build: Any, seed: int, ties: bool) -> None:
    rng, width, height = np.random.default_rng(seed), 320, 192
    counts = [(width // stride) * (height // stride) for stride in (8, 16, 32)]
    draw = {"cls": lambda shape: rng.uniform(-0.1, 1.1, shape), "bbox": lambda shape: rng.normal(0, 0.7, shape)}
    outputs = [
        draw["bbox" if size > 1 else "cls"]((1, count, size)).astype(np.float32)
        for size in (1, 1, 4, 10)
        for count in counts
    ]
    if ties:  # many equal scores, and boxes of no area
        outputs = [values.round(0 if values.shape[2] == 1 else 1) - 4 * (values.shape[2] == 4) for values in outputs]
    ours = build.yunet_faces(outputs, width, (8, 16, 32), 0.5, 0.3, 5000)
    expected = plain_faces(outputs, width, 0.5)
    assert len(expected[0]) > (0 if ties else 20)
    for mine, plain in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("build", [_core, native()], ids=["baseline", "here"])
def test_the_input_is_what_opencv_makes_of_a_padded_picture(build: Any, portrait: Frame) -> None:
    for part in (portrait, portrait[3:100, 5:222], portrait[:1, :1]):
        rows, columns = -(-part.shape[0] // 32) * 32, -(-part.shape[1] // 32) * 32
        made = np.full((1, 3, rows, columns), np.nan, np.float32)
        build.yunet_input(np.ascontiguousarray(part), made)
        padded = cv2.copyMakeBorder(part, 0, rows - part.shape[0], 0, columns - part.shape[1], cv2.BORDER_CONSTANT)
        np.testing.assert_array_equal(made, cv2.dnn.blobFromImage(padded, swapRB=True))


def test_an_input_of_another_layout_or_size_is_refused(portrait: Frame) -> None:
    out = np.empty((1, 3, 512, 416), np.float32)
    for bad in (portrait[:, ::2], np.asfortranarray(portrait), portrait[..., 0], portrait.astype(np.float32)):
        with pytest.raises(ValueError, match="image must be"):
            _core.yunet_input(bad, out)
    with pytest.raises(ValueError, match="as large as the image"):
        _core.yunet_input(portrait, np.empty((1, 3, 64, 416), np.float32))


def test_one_detector_in_many_threads_and_frames_of_many_sizes(portrait: Frame) -> None:
    detector = YuNetDetector()
    frames = [portrait[: 200 + 40 * k] for k in range(5)] + [
        np.zeros((40, 30, 3), np.uint8),
        np.tile(portrait, (6, 6, 1)),
    ]
    expected = [YuNetDetector()(frame, Faces.empty()).xyxy for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = pool.map(lambda frame: detector(frame, Faces.empty()).xyxy, frames)
            for mine, alone in zip(found, expected, strict=True):
                np.testing.assert_array_equal(mine, alone)


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
        ({"detector": "dlib"}, "detector must be yunet, hog, hog-fast or a stage, got 'dlib'"),
        ({"detector": "hog", "any_rotation": True}, "any_rotation is for the yunet detector"),
        ({"detector": "hog", "min_face": 30, "upsample": 1}, "min_face and upsample exclude each other"),
        ({"detector": "yunet", "upsample": 1}, "upsample is for the hog detector"),
        ({"detector": HogDetector(), "threshold": 0.5}, "for the detectors that are chosen by name"),
    ],
)
def test_options_of_another_detector_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pipeline.for_pictures("ssrnet", **options)


@pytest.mark.parametrize(("min_face", "upsample"), [(100, 0), (70, 0), (69, 1), (35, 1), (20, 2), (4, 4)])
def test_min_face_doubles_the_frame_for_hog(min_face: float, upsample: int) -> None:
    detector = make_detector("hog", min_face=min_face)
    assert isinstance(detector, HogDetector)
    assert detector.upsample == upsample


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
    large = np.asarray(cv2.resize(portrait, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC), np.uint8)
    for options in ({"max_pixels": 400 * 512}, {"min_face": 64}):
        (box,) = YuNetDetector(**options)(large, Faces.empty()).xyxy  # type: ignore[arg-type]
        np.testing.assert_allclose(box / 4, YuNetDetector()(portrait, Faces.empty()).xyxy[0], atol=4)


def in_the_corners(portrait: Frame, scale: float, height: int, width: int) -> Frame:
    """The portrait's head, scaled, in each corner of a large grey frame and in the middle of it."""
    head = cv2.resize(portrait[20:240, 120:340], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame, side = np.full((height, width, 3), 128, np.uint8), len(head)
    for top in (0, height // 2, height - side):
        for left in (0, width // 2, width - side):
            frame[top : top + side, left : left + side] = head
    return frame


def test_large_frames_are_searched_in_tiles(portrait: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = in_the_corners(portrait, 0.3, 1500, 1900)
    detector, sizes = YuNetDetector(min_face=12), []
    monkeypatch.setattr(
        detector, "_find", lambda tile, least: sizes.append(tile.shape) or YuNetDetector._find(detector, tile, least)
    )
    faces = detector(frame, Faces.empty())
    assert len(faces) == 9
    # Six tiles of the finest level, and the next one whole.
    assert sum(max(size) > 512 for size in sizes) == 7
    assert max(max(size) for size in sizes) <= 1280
    assert len(YuNetDetector(min_face=60)(frame, Faces.empty())) < 9
    head = cv2.resize(portrait[20:240, 120:340], None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    (alone,) = YuNetDetector(min_face=12)(np.asarray(head, np.uint8), Faces.empty()).xyxy
    np.testing.assert_allclose(faces.xyxy[:, 2] - faces.xyxy[:, 0], alone[2] - alone[0], rtol=0.15)


def test_a_face_that_fills_a_large_frame_is_found_once(portrait: Frame) -> None:
    closeup = cv2.resize(portrait[70:190, 160:290], None, fx=20, fy=20, interpolation=cv2.INTER_CUBIC)
    (box,) = YuNetDetector()(np.asarray(closeup, np.uint8), Faces.empty()).xyxy
    assert 1200 < box[2] - box[0] < 2600


@pytest.mark.parametrize("angle", [-45, -30, 30, 45])
def test_a_face_that_leans_is_found_and_straightened(portrait: Frame, angle: float) -> None:
    leaning = np.asarray(cv2.warpAffine(portrait, cv2.getRotationMatrix2D((223, 127), -angle, 1), (512, 400)), np.uint8)
    faces = YuNetDetector()(leaning, Faces.empty())
    assert faces.keypoints is not None
    assert len(faces) == 1
    assert roll(faces.keypoints)[0] == pytest.approx(angle, abs=12)
    upright = Aligner()(portrait, YuNetDetector()(portrait, Faces.empty())).chips
    turned = Aligner()(leaning, faces).chips
    assert upright is not None
    assert turned is not None
    assert similarity(upright[0], turned[0]) > 0.85


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_that_lies_on_its_side_is_found_when_asked(portrait: Frame, quarters: int) -> None:
    lying = np.ascontiguousarray(np.rot90(portrait, quarters))
    faces = YuNetDetector(any_rotation=True)(lying, Faces.empty())
    assert faces.keypoints is not None
    assert len(faces) == 1
    assert abs((roll(faces.keypoints)[0] + 90 * quarters + 180) % 360 - 180) < 10
    upright = Aligner()(portrait, YuNetDetector()(portrait, Faces.empty())).chips
    chips = Aligner()(lying, faces).chips
    assert upright is not None
    assert chips is not None
    assert similarity(upright[0], chips[0]) > 0.95


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    middle = slice(len(a) // 4, -len(a) // 4)
    return float(np.corrcoef(a[middle, middle].ravel(), b[middle, middle].ravel())[0, 1])


def test_a_crowd_and_a_group_are_found(shared_data: Path) -> None:
    crowd = read_image(shared_data / "photos" / "img3.jpg")
    assert len(YuNetDetector()(crowd, Faces.empty())) >= 160
    group = read_image(shared_data / "photos" / "pascal-faces" / "bald_guys.jpg")
    large = cv2.resize(group, (4000, 3111), interpolation=cv2.INTER_CUBIC)
    assert len(YuNetDetector()(np.asarray(large, np.uint8), Faces.empty())) >= 24


@pytest.mark.parametrize("lean", [0, 40, -70])
@pytest.mark.parametrize(
    ("squares", "kept"),
    [
        # Of each: across and along the first face's axes, side, score.
        ([(0, 0, 80, 0.92), (10, -48, 90, 0.82)], [0]),  # hair above it
        ([(0, 0, 80, 0.92), (0, 45, 60, 0.84)], [0]),  # a hand below it
        ([(0, 0, 80, 0.92), (0, -80, 70, 0.7)], [0, 1]),  # a head higher, behind it
        ([(0, 0, 80, 0.92), (0, -60, 80, 0.91)], [0, 1]),  # above it in a mosaic of faces
        ([(0, 0, 80, 0.89), (36, 8, 70, 0.62)], [0]),  # between two people
        ([(0, 0, 80, 0.89), (45, 10, 55, 0.85)], [0, 1]),  # half hidden by it, but clear
        ([(0, 0, 80, 0.89), (62, 10, 80, 0.62)], [0, 1]),  # beside it
        ([(0, 0, 10, 0.80), (6, 1, 10, 0.64)], [0, 1]),  # in the last row of a crowd
        ([(0, 0, 80, 0.92), (0, -48, 80, 0.82), (0, -100, 80, 0.8)], [0, 2]),  # the second leaves the third alone
    ],
)
def test_hair_and_gaps_between_faces_are_no_faces(
    squares: list[tuple[float, ...]], kept: list[int], lean: float
) -> None:
    across, along, side, score = np.array(squares, np.float32).T
    c, s = np.cos(np.radians(lean)), np.sin(np.radians(lean))
    centre = np.stack([across * c - along * s, across * s + along * c], axis=1)
    upright = np.array([(-0.2, -0.2), (0.2, -0.2), (0, 0), (-0.15, 0.2), (0.15, 0.2)])
    points = centre[:, None] + (upright @ np.array([(c, s), (-s, c)])) * side[:, None, None]
    boxes = np.hstack([centre - side[:, None] / 2, centre + side[:, None] / 2])
    assert _without_doubles(boxes.astype(np.float32), points.astype(np.float32), score) == kept


def test_a_boy_who_looks_down_has_one_face(shared_data: Path) -> None:
    with open_source(str(shared_data / "clips" / "street-9-faces-1080p.mp4")) as source:
        frames = {number: frame.image for number, frame in enumerate(source) if number in (55, 65, 70, 75)}
    for number, video in ((55, False), (65, False), (70, True), (75, True)):
        found = make_detector(video=video)(frames[number], Faces.empty()).xyxy
        x, y = (found[:, 0] + found[:, 2]) / 2, (found[:, 1] + found[:, 3]) / 2
        assert ((abs(x - 580) < 70) & (abs(y - 640) < 90)).sum() == 1


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
        ({"min_face": 3}, "min_face must be in 4..10000 pixels, got 3"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"max_pixels": 10}, "max_pixels must be 4096 or more, got 10"),
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
    for content in (
        b"",
        b"hello",
        b"version https://git-lfs.github.com/spec/v1\n",
        (MODELS_PATH / "ssrnet.onnx").read_bytes(),
    ):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no YuNet model: take face_detection") as caught:
            YuNetDetector(path)
        assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


def test_it_can_be_pickled(model: Path, portrait: Frame) -> None:
    detector = YuNetDetector(model, threshold=0.5, min_face=20, any_rotation=True)
    again = pickle.loads(pickle.dumps(detector))
    assert (again.threshold, again.min_face, again.any_rotation) == (0.5, 20, True)
    assert np.array_equal(again(portrait, Faces.empty()).xyxy, detector(portrait, Faces.empty()).xyxy)


def collage(portrait: Frame, places: list[tuple[int, int, int]], size: tuple[int, int]) -> Frame:
    """Portraits at (left, top) and with these sides on a grey picture of `size`, width and height."""
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    for left, top, side in places:
        small = cv2.resize(portrait[:400, 60:460], (side, side), interpolation=cv2.INTER_AREA)
        height, width = picture[top : top + side, left : left + side].shape[:2]
        picture[top : top + height, left : left + width] = small[:height, :width]
    return picture


def test_near_faces_it_finds_what_a_whole_search_finds(portrait: Frame) -> None:
    picture = collage(portrait, [(20, 30, 300), (500, 40, 120), (700, 300, 60), (150, 400, 200)], (900, 640))
    detector = YuNetDetector(min_face=8, straighten=False)
    whole = detector(picture, Faces.empty())
    assert len(whole) == 4
    sides, centres = sides_and_centres(whole)
    for moved in (0.0, 0.25, -0.4):
        near = detector.near(picture, whole.xyxy + moved * np.repeat(sides[:, None], 4, axis=1))
        assert len(near) == 4
        assert (near.score > 0.8).all()
        order = np.abs(sides_and_centres(near)[1][:, None] - centres).sum(axis=2).argmin(axis=0)
        assert sorted(order) == [0, 1, 2, 3]
        np.testing.assert_allclose(sides_and_centres(near)[0][order], sides, rtol=0.12)
        assert (np.abs(sides_and_centres(near)[1][order] - centres) < 0.07 * sides[:, None] + 1).all()
        assert (np.abs(near.keypoints[order] - whole.keypoints).max(axis=(1, 2)) < 0.08 * sides + 1).all()


def test_near_faces_nothing_else_is_found(portrait: Frame) -> None:
    picture = collage(portrait, [(20, 30, 300), (550, 30, 300)], (900, 400))
    detector = YuNetDetector(straighten=False)
    whole = detector(picture, Faces.empty())
    first = whole.xyxy[whole.xyxy[:, 0].argsort()][:1]
    assert len(whole) == 2
    near = detector.near(picture, first)
    np.testing.assert_allclose(near.xyxy, first, atol=12)
    # Two that expect the same face find it once; where nobody is nothing is found, outside the frame either.
    assert len(detector.near(picture, np.concatenate([first, first + 5]))) == 1
    elsewhere = np.array([[400, 300, 480, 380], [-500, -500, -400, -400], [880, 380, 980, 480]], np.float32)
    assert len(detector.near(picture, elsewhere)) == 0
    assert len(detector.near(picture, np.concatenate([elsewhere, first]))) == 1
    assert len(detector.near(picture, np.empty((0, 4), np.float32))) == 0


def test_near_very_many_faces_the_whole_frame_is_searched(portrait: Frame) -> None:
    detector = YuNetDetector(max_pixels=200_000, straighten=False)
    whole = detector(portrait, Faces.empty())
    many = np.tile(np.array([[0, 0, 30, 30]], np.float32), (22, 1))
    np.testing.assert_array_equal(detector.near(portrait, many).xyxy, whole.xyxy)
    assert len(detector.near(portrait, many[:21])) == 0
