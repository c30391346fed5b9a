"""The libraries that agegender is compared with: each is loaded only where it is installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agegender_core._opencv import quiet_opencv
from agegender_core.align import LANDMARKS_PATH, Aligner
from agegender_core.detect import HogDetector
from agegender_core.faces import Faces, Frame
from agegender_core.frames import contiguous
from agegender_core.images import decode_image, read_image
from agegender_core.predict import load_predictor
from agegender_core.preprocess import preprocess
from agegender_core.resizing import resize_area
from agegender_core.spec import PreprocessSpec
from agegender_core.yunet import YuNetDetector
from agegender_core.yunet_network import YUNET_PATH, NativeYuNet, OnnxYuNet

from .peer_trackers import FRAMES, TRACKS, beside_sort, norfair, trackers_of
from .peers import Comparison, PeerUnavailableError, Sides
from .stages import SAMPLE


def known_peers() -> list[Comparison]:
    """Everything that can be compared, whether its library is installed or not."""
    tracks = f"track {TRACKS} squares that never meet, {FRAMES} frames"
    smaller = "resize 1920 x 1080 to 843 x 474"
    inputs = "preprocess 32 chips of 140 px to 64 px"
    look = "age and gender of a face that is found"
    return [
        Comparison("decode JPEG to RGB, 512 x 400", "OpenCV", "cv2", "equal pixels", _decode),
        Comparison("frame of 1920 x 1080 from BGR", "NumPy", "numpy", "equal pixels", partial(_frame_of, _reversed)),
        Comparison(
            "frame of 1080 x 1920, turned upright", "NumPy", "numpy", "equal pixels", partial(_frame_of, np.rot90)
        ),
        Comparison(smaller, "OpenCV", "cv2", "equal pixels", _resize),
        Comparison("detect by HOG, 1280 x 720", "dlib", "dlib", "the same boxes", partial(_hog, True)),
        Comparison("detect by hog-fast, 1280 x 720", "dlib", "dlib", "the same boxes", partial(_hog, False)),
        Comparison("detect by YuNet, 640 x 360", "OpenCV", "cv2", "equal within 0.1 px and 1e-4 of score", _yunet),
        Comparison(
            "detect by YuNet, 640 x 360",
            "ONNX Runtime",
            "onnxruntime",
            "equal within 0.001 px and 1e-5 of score",
            _yunet_by_onnx_runtime,
        ),
        Comparison("landmarks and a chip of 140 px", "dlib", "dlib", "equal to the last bit", _align),
        Comparison(inputs, "OpenCV and NumPy", "cv2", "equal within 1e-4", _preprocess),
        Comparison("10 faces, from frame to input", "dlib and OpenCV", "dlib", "equal within 1e-4", _frame_to_input),
        Comparison(tracks, "trackers' SORT", "trackers", "the same tracks", _beside("SORTTracker")),
        Comparison(tracks, "trackers' ByteTrack", "trackers", "the same tracks", _beside("ByteTrackTracker")),
        Comparison(tracks, "norfair", "norfair", "the same tracks", partial(beside_sort, norfair)),
        Comparison(look, "InsightFace", "insightface", "the same age and gender", _insightface),
        Comparison(look, "DeepFace", "deepface", "the same age and gender", _deepface),
    ]


def _beside(tracker: str) -> Callable[[], Sides]:
    return partial(beside_sort, trackers_of(tracker))


def _equal(ours: Any, theirs: Any) -> str:
    if np.shape(ours) != np.shape(theirs):
        return f"{len(theirs)} of theirs, {len(ours)} of ours"
    return "" if np.array_equal(ours, theirs) else _by_how_much(ours, theirs)


def _by_how_much(ours: Any, theirs: Any) -> str:
    apart = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))
    return f"by up to {apart.max():.3g}, at {np.mean(apart > 0):.1%} of the numbers"


def _decode() -> Sides:
    data = SAMPLE.read_bytes()
    encoded = np.frombuffer(data, np.uint8)

    def theirs() -> Any:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    return Sides(lambda: decode_image(data), theirs, _equal)


def _frame(width: int, height: int) -> Frame:
    """The portrait in the middle of a grey frame, as high as that."""
    portrait = read_image(SAMPLE)
    frame = np.full((height, width, 3), 127, np.uint8)
    scale = min(1.0, height / portrait.shape[0])
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else portrait
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return frame


def _reversed(frame: Frame) -> Frame:
    return frame[..., ::-1]


def _frame_of(view_of: Callable[[Frame], Frame]) -> Sides:
    """A view of a frame of full HD as a frame of its own."""
    view = view_of(_frame(1920, 1080))
    return Sides(lambda: contiguous(view), lambda: np.ascontiguousarray(view), _equal)


def _resize() -> Sides:
    """A frame of full HD as the detector of videos sees it."""
    frame, size = _frame(1920, 1080), (843, 474)

    def theirs() -> Any:
        return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

    return Sides(lambda: resize_area(frame, size), theirs, _equal)


def _hog(exact: bool) -> Sides:
    frame, ours = _frame(1280, 720), HogDetector(exact=exact)
    theirs = import_module("dlib").get_frontal_face_detector()

    def boxes() -> list[list[int]]:
        # dlib's rectangles hold their last pixel.
        return [[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in theirs(frame, 0)]

    return Sides(lambda: ours(frame, Faces.empty()).xyxy.astype(int).tolist(), boxes, _equal)


def _yunet() -> Sides:
    frame, ours = _frame(640, 360), YuNetDetector()
    height, width = frame.shape[:2]
    with quiet_opencv():  # OpenCV 5 warns of a setting that it makes itself
        opencv = cv2.FaceDetectorYN.create(str(YUNET_PATH), "", (width, height), ours.threshold)
    bgr = np.ascontiguousarray(frame[..., ::-1])

    def theirs() -> Any:
        rows = opencv.detect(bgr)[1]
        return np.empty((0, 15)) if rows is None else rows[np.argsort(-rows[:, 14], kind="stable")]

    def difference(found: Any, rows: Any) -> str:
        boxes, points, scores = found
        same = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], points.reshape(-1, 10), scores[:, None]])
        return _near(same, rows, 0.1, 1e-4)

    return Sides(lambda: ours.find(frame), theirs, difference)


def _yunet_by_onnx_runtime() -> Sides:
    frame = _frame(640, 360)
    content = YUNET_PATH.read_bytes()
    ours, theirs = NativeYuNet(content), OnnxYuNet(content, YUNET_PATH)

    def rows(found: Any) -> Any:
        boxes, points, scores = found
        return np.hstack([boxes, points.reshape(-1, 10), scores[:, None]])

    def difference(found: Any, other: Any) -> str:
        return _near(rows(found), rows(other), 1e-3, 1e-5)

    return Sides(lambda: ours.find(frame, 0.6), lambda: theirs.find(frame, 0.6), difference)


def _near(ours: Any, theirs: Any, pixels: float, score: float) -> str:
    """Whether rows of 14 coordinates and a score are as near as that."""
    tolerance = np.array([pixels] * 14 + [score])
    if ours.shape == theirs.shape and (np.abs(ours - theirs) <= tolerance).all():
        return ""
    return _equal(ours, theirs)


def _align() -> Sides:
    dlib, frame = import_module("dlib"), read_image(SAMPLE)
    aligner, predictor = Aligner(140, 0.4), dlib.shape_predictor(str(LANDMARKS_PATH))
    found = HogDetector()(frame, Faces.empty())[:1]
    left, top, right, bottom = (int(edge) for edge in found.xyxy[0])
    box = dlib.rectangle(left, top, right - 1, bottom - 1)

    def theirs() -> Any:
        return dlib.get_face_chip(frame, predictor(frame, box), 140, 0.4)

    return Sides(lambda: np.asarray(aligner(frame, found).chips)[0], theirs, _equal)


def _by_opencv(chips: Any, spec: PreprocessSpec) -> Any:
    """What `preprocess` gives for whole chips."""
    size = spec.input_size
    resized = [cv2.resize(chip.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for chip in chips]
    return (np.stack(resized) - np.array(spec.mean, np.float32)) * np.array(spec.scale, np.float32)


def _inputs_differ(ours: Any, theirs: Any) -> str:
    return "" if np.allclose(ours, theirs, rtol=0, atol=1e-4) else _equal(ours, theirs)


def _preprocess() -> Sides:
    spec = load_predictor("tiny").spec
    chips = np.random.default_rng(0).integers(0, 256, (32, spec.chip_size, spec.chip_size, 3), np.uint8)
    out = np.empty((32, spec.input_size, spec.input_size, 3), np.float32)
    return Sides(lambda: preprocess(chips, spec, out), lambda: _by_opencv(chips, spec), _inputs_differ)


def _frame_to_input() -> Sides:
    dlib, portrait, spec = import_module("dlib"), read_image(SAMPLE), load_predictor("tiny").spec
    aligner, predictor = Aligner(spec.chip_size, spec.chip_padding), dlib.shape_predictor(str(LANDMARKS_PATH))
    small = np.asarray(cv2.resize(portrait, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), np.uint8)
    frame = np.asarray(np.tile(small, (2, 5, 1)), np.uint8)
    left, top, right, bottom = (int(edge) for edge in HogDetector()(small, Faces.empty()).xyxy[0])
    height, width = small.shape[:2]
    corners = [(x, y) for y in (0, height) for x in range(0, 5 * width, width)]
    found = Faces(xyxy=np.array([(left + x, top + y, right + x, bottom + y) for x, y in corners], np.float32))
    rectangles = [dlib.rectangle(left + x, top + y, right + x - 1, bottom + y - 1) for x, y in corners]

    def theirs() -> Any:
        shapes = dlib.full_object_detections()
        for rectangle in rectangles:
            shapes.append(predictor(frame, rectangle))
        return _by_opencv(dlib.get_face_chips(frame, shapes, spec.chip_size, spec.chip_padding), spec)

    return Sides(lambda: preprocess(np.asarray(aligner(frame, found).chips), spec), theirs, _inputs_differ)


def _look(theirs: Any) -> Sides:
    """`theirs` gives age and whether it is a man, of a portrait and the face's box in it."""
    portrait, predictor = read_image(SAMPLE), load_predictor()
    found = HogDetector()(portrait, Faces.empty())[:1]
    aligner = Aligner(predictor.spec.chip_size, predictor.spec.chip_padding)

    def ours() -> tuple[float, bool]:
        faces = predictor(portrait, aligner(portrait, found))
        assert faces.age is not None
        assert faces.p_male is not None
        return float(faces.age[0]), bool(faces.p_male[0] >= 0.5)

    def difference(one: tuple[float, bool], other: tuple[float, bool]) -> str:
        if abs(one[0] - other[0]) < 0.05 and one[1] == other[1]:
            return ""
        said = [f"{age:.1f} years, {'male' if male else 'female'}" for age, male in (one, other)]
        return f"{said[1]}, ours {said[0]}"

    bgr = np.ascontiguousarray(portrait[..., ::-1])
    return Sides(ours, lambda: theirs(bgr, found.xyxy[0]), difference)


def _insightface() -> Sides:
    """Its gender-age network; InsightFace itself would fetch it, we don't."""
    path = Path.home() / ".insightface" / "models" / "buffalo_l" / "genderage.onnx"
    if not path.is_file():
        raise PeerUnavailableError(f"insightface is installed, but its network isn't at {path}")
    network = import_module("insightface.model_zoo").get_model(str(path), providers=["CPUExecutionProvider"])
    face_class = import_module("insightface.app.common").Face

    def theirs(bgr: Any, box: Any) -> tuple[float, bool]:
        gender, age = network.get(bgr, face_class(bbox=box))
        return float(age), bool(gender == 1)

    return _look(theirs)


def _deepface() -> Sides:
    """Its networks of age and gender; DeepFace itself would fetch them, we don't."""
    folder = Path(os.environ.get("DEEPFACE_HOME", Path.home())) / ".deepface" / "weights"
    missing = PeerUnavailableError(f"deepface is installed, but its networks of age and gender aren't in {folder}")
    if not folder.is_dir():
        raise missing
    # Versions since 2026 run on several engines, each with files of its own; those before know TensorFlow alone.
    engines = {"tensorflow": ".h5"}
    if find_spec("deepface.commons.backend_utils") is not None:
        engines = {"onnx": ".onnx", **engines}
    chosen = os.environ.get("DEEPFACE_BACKEND_ENGINE", "").strip().lower()
    for engine, suffix in engines.items():
        files = [folder / f"{name}_model_weights{suffix}" for name in ("age", "gender")]
        if chosen in ("", engine) and all(file.is_file() for file in files):
            os.environ["DEEPFACE_BACKEND_ENGINE"] = engine
            break
    else:
        raise missing
    analyze = import_module("deepface.DeepFace").analyze

    def theirs(bgr: Any, box: Any) -> tuple[float, bool]:
        left, top, right, bottom = (max(0, int(edge)) for edge in box)
        face = bgr[top:bottom, left:right]
        (row,) = analyze(face, actions=("age", "gender"), detector_backend="skip", enforce_detection=False, silent=True)
        return float(row["age"]), row["dominant_gender"] == "Man"

    return _look(theirs)
