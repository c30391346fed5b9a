from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from agegender_core.faces import Faces, Frame
from agegender_core.yunet import YUNET_PATH
from agegender_train.datasets import Rejection, Sample
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.preprocessing.pictures import (
    Boxes,
    Outcome,
    PreprocessSettings,
    Tools,
    default_tools,
    process_picture,
)
from agegender_train.preprocessing.search import Policy, choose_faces
from agegender_train.store import decode_chip

WHOLE = (0.0, 0.0, 1.0, 1.0)


def tools(*boxes: tuple[float, float, float, float]) -> Tools:
    """A detector that always finds `boxes`, and an aligner that paints chips in the colour of the box's middle."""

    def align(frame: Frame, faces: Faces) -> Faces:
        x, y = ((faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2).astype(int).T
        chips = np.broadcast_to(frame[y, x][:, None, None], (len(faces), 32, 32, 3)).copy()
        landmarks = np.repeat(faces.xyxy[:, None, :2], 5, axis=1)
        return faces.with_columns(landmarks=landmarks, chips=chips)

    def decode(data: bytes, name: str) -> Frame:
        if not data:
            raise ValueError(f"{name}: the file is empty")
        return np.ascontiguousarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])

    found = Faces(np.array(boxes, np.float32).reshape(-1, 4), np.linspace(2, 1, len(boxes), dtype=np.float32))
    return Tools(lambda frame, faces: found, align, decode, "sha")


def picture(width: int = 200, height: int = 100) -> bytes:
    frame = np.full((height, width, 3), (200, 100, 50), np.uint8)
    return cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))[1].tobytes()


def settings(boxes: Boxes = "detect-then-known", faces: Policy = "largest") -> PreprocessSettings:
    return PreprocessSettings("test", boxes, chip_size=32, faces=faces)


def reasons(outcome: Outcome) -> list[str]:
    return [] if outcome.rejection is None else [outcome.rejection.reason]


def test_a_row_has_all_that_is_known_of_the_face() -> None:
    sample = Sample("a/1.jpg", 20, 29, 0, "White", "anna", "train")
    outcome = process_picture(picture(), sample, settings(), tools((60, 10, 140, 90)))
    assert (outcome.rejection, outcome.faces) == (None, 1)
    (row,) = outcome.rows
    chip = decode_chip(row.pop("image")["bytes"])
    assert chip[16, 16] == pytest.approx((200, 100, 50), abs=2)
    assert row.pop("phash") == perceptual_hash(np.full_like(chip, (200, 100, 50)))
    assert row == {
        "dataset": "test",
        "key": "a/1.jpg",
        "face": 0,
        "age_low": 20,
        "age_high": 29,
        "gender": 0,
        "group": "White",
        "subject": "anna",
        "split": "train",
        "box": [60, 10, 140, 90],
        "box_from": "detected",
        "score": 2.0,
        "landmarks": [60, 10] * 5,
        "picture_width": 200,
        "picture_height": 100,
        "picture_sha256": hashlib.sha256(picture()).hexdigest(),
    }


@pytest.mark.parametrize(
    ("boxes", "found", "known_box", "expected"),
    [
        ("detect", [(0, 0, 90, 90)], None, "detected"),
        ("detect", [(0, 0, 50, 50)], WHOLE, "no face"),  # somebody else's
        ("detect", [(40, 0, 160, 100)], WHOLE, "detected"),
        ("detect", [], WHOLE, "no face"),
        ("known", [(40, 0, 160, 100)], WHOLE, "known"),
        ("known", [(40, 0, 160, 100)], None, "no known box"),
        ("detect-then-known", [(40, 0, 160, 100)], WHOLE, "detected"),
        ("detect-then-known", [(0, 0, 50, 50)], WHOLE, "known"),
        ("detect-then-known", [], WHOLE, "known"),
        ("detect-then-known", [], None, "no face"),
        ("known", [], (0, 0, 0.1, 0.1), "too small"),
    ],
)
def test_where_the_box_comes_from(
    boxes: Boxes,
    found: list[tuple[float, float, float, float]],
    known_box: tuple[float, float, float, float] | None,
    expected: str,
) -> None:
    sample = Sample("1.jpg", 3, 3, 1, known_box=known_box)
    outcome = process_picture(picture(), sample, settings(boxes), tools(*found))
    assert [row["box_from"] for row in outcome.rows] + reasons(outcome) == [expected]
    assert outcome.faces == (0 if boxes == "known" else len(found))
    if expected == "known":
        assert outcome.rows[0]["box"] == [0, 0, 200, 100]
        assert outcome.rows[0]["score"] is None


LARGE, MIDDLE, SMALL = (100, 0, 190, 90), (60, 20, 100, 60), (10, 10, 30, 30)


@pytest.mark.parametrize(
    ("faces", "boxes", "found", "known_box", "expected"),
    [
        ("largest", "detect", [SMALL, MIDDLE, LARGE], None, [LARGE]),
        ("largest", "detect", [SMALL], None, "too small"),
        ("one", "detect", [MIDDLE], None, [MIDDLE]),
        ("one", "detect", [SMALL, MIDDLE, LARGE], None, "several faces: 3"),
        ("one", "detect", [SMALL, LARGE], (0.5, 0, 1, 1), [LARGE]),
        ("one", "detect", [], None, "no face"),
        ("all", "detect", [SMALL, MIDDLE, LARGE], None, [LARGE, MIDDLE]),
        ("all", "detect", [SMALL, SMALL], None, "too small: 20 x 20"),
        ("all", "detect", [SMALL, MIDDLE, LARGE], (0.5, 0, 1, 1), [LARGE]),  # the label is about this one alone
        ("all", "detect-then-known", [], WHOLE, [(0, 0, 200, 100)]),
        ("all", "detect-then-known", [], None, "no face"),
    ],
)
def test_what_becomes_of_several_faces(
    faces: Policy,
    boxes: Boxes,
    found: list[tuple[float, float, float, float]],
    known_box: tuple[float, float, float, float] | None,
    expected: list[tuple[float, ...]] | str,
) -> None:
    sample = Sample("1.jpg", 3, 3, 1, known_box=known_box)
    outcome = process_picture(picture(), sample, settings(boxes, faces), tools(*found))
    assert outcome.faces == len(found)
    if isinstance(expected, str):
        assert outcome.rows == []
        assert outcome.rejection is not None
        assert ": ".join(outcome.rejection[1:]).startswith(expected)
    else:
        assert outcome.rejection is None
        assert [tuple(row["box"]) for row in outcome.rows] == expected
        assert [row["face"] for row in outcome.rows] == list(range(len(expected)))
        assert {(row["key"], row["age_low"]) for row in outcome.rows} == {("1.jpg", 3)}


def test_what_can_not_be_decoded_is_rejected_with_the_reason() -> None:
    outcome = process_picture(b"", Sample("1.jpg", 3, 3, 1), settings(), tools((0, 0, 90, 90)))
    assert outcome == Outcome([], Rejection("1.jpg", "unreadable", "1.jpg: the file is empty"), 0)


@pytest.mark.parametrize(
    ("boxes", "known", "expected"),
    [
        ([(0, 0, 20, 20), (30, 30, 60, 60)], None, 1),  # the larger one
        ([(0, 0, 40, 40), (45, 45, 65, 65)], None, 1),  # the one in the middle before the larger one
        ([(0, 0, 60, 40), (45, 45, 55, 55)], None, 0),  # ... but not before one that is more than twice as large
        ([(40, 40, 60, 60), (30, 30, 70, 70)], None, 1),  # of two in the middle the larger one
        ([(0, 0, 10, 10), (20, 0, 30, 10)], None, 0),  # of equal ones the first
        ([(0, 0, 90, 90), (10, 10, 40, 40)], (12, 12, 42, 42), 1),  # the one that overlaps most
        ([(0, 0, 90, 90)], (12, 12, 42, 42), None),
        ([], (12, 12, 42, 42), None),
        ([], None, None),
    ],
)
def test_of_several_faces_one_is_chosen(
    boxes: list[tuple[float, ...]], known: tuple[float, ...] | None, expected: int | None
) -> None:
    found = Faces(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.float32))
    face = choose_faces(found, None if known is None else Faces(np.array([known], np.float32)), (100, 100), "largest")
    assert face.xyxy.tolist() == ([] if expected is None else [list(boxes[expected])])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"boxes": "guess"}, "boxes must be one of detect, known, detect-then-known, got 'guess'"),
        ({"chip_size": 0}, "size must be in"),
        ({"chip_padding": -0.1}, "padding must be in"),
        ({"detector_upsample": 9}, "detector_upsample must be in"),
        ({"detector": "haar"}, "detector must be one of hog, yunet, got 'haar'"),
        ({"detector": "yunet", "detector_upsample": 1}, "detector_upsample is for the hog detector"),
        ({"faces": "both"}, "faces must be one of largest, one, all, got 'both'"),
        ({"min_face": 0}, "min_face must be in"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PreprocessSettings("test", **wrong)  # type: ignore[arg-type]


def test_tools_know_which_model_they_have() -> None:
    yunet = default_tools(PreprocessSettings("test", detector="yunet"))
    assert (yunet.detector_sha256, yunet.smallest_face) == (hashlib.sha256(YUNET_PATH.read_bytes()).hexdigest(), None)
    hog = default_tools(PreprocessSettings("test", detector_upsample=1))
    assert (hog.detector_sha256, hog.smallest_face) == (None, 36)
    with pytest.raises(ValueError, match="detector_model is for the yunet detector"):
        default_tools(PreprocessSettings("test"), detector_model=YUNET_PATH)
