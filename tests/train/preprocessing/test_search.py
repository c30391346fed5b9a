from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from agegender_core import Aligner, Faces, Frame, HogDetector, read_image
from agegender_core.align import LANDMARKS_PATH
from agegender_train.datasets import Sample
from agegender_train.preprocessing.pictures import PreprocessSettings, Tools, process_picture
from agegender_train.preprocessing.search import choose_faces, find_known, find_largest
from agegender_train.store import decode_chip, encode_chip

Box = tuple[int, int, int, int]
SMALLEST = 70


class FakeDetector:
    """Finds discs of `SMALLEST` pixels and more, each level of grey one face; remembers what it was shown."""

    def __init__(self, score: Callable[[float], float] = lambda side: 1.0) -> None:
        self.shown: list[tuple[int, int]] = []
        self.score = score

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        self.shown.append((frame.shape[1], frame.shape[0]))
        assert frame.flags.c_contiguous
        found: list[list[float]] = []
        for level in range(50, 256, 50):
            mask = (np.abs(frame[..., 0].astype(int) - level) <= 2).astype(np.uint8)
            mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
            x, y, width, height = cv2.boundingRect(mask)
            if min(width, height) >= SMALLEST:
                found.append([x, y, x + width - 1, y + height - 1])
        scores = [self.score(box[2] - box[0]) for box in found]
        return Faces(np.array(found, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def picture_of(faces: Sequence[tuple[int, int, int]], size: tuple[int, int] = (4000, 3000)) -> Frame:
    """Discs (x, y, diameter)."""
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    for number, (x, y, diameter) in enumerate(faces):
        cv2.circle(frame, (x, y), diameter // 2, [50 * (number + 1)] * 3, -1)
    return frame


def box_of(x: int, y: int, diameter: int) -> Box:
    return x - diameter // 2, y - diameter // 2, x + diameter // 2, y + diameter // 2


@pytest.mark.parametrize(
    ("faces", "chosen", "levels"),
    [
        ([(2000, 1500, 900)], 0, [4]),
        ([(700, 900, 900)], 0, [4]),
        ([(700, 900, 300)], 0, [4]),
        ([(700, 900, 200)], 0, [4, 2]),
        ([(700, 900, 100)], 0, [4, 2, 1]),
        ([(700, 900, 900), (3000, 2000, 600)], 0, [4]),
        ([(700, 900, 500), (2000, 1500, 260)], 1, [4]),  # the one in the middle is too small for the first level
        ([(700, 900, 900), (2000, 1500, 300)], 0, [4]),  # ... and here too small for the policy
        ([(700, 900, 50)], None, [4, 2, 1]),
    ],
)
def test_the_search_goes_as_deep_as_it_must(
    faces: list[tuple[int, int, int]], chosen: int | None, levels: list[int]
) -> None:
    frame, detector = picture_of(faces), FakeDetector()
    found = find_largest(frame, detector, SMALLEST)
    whole = [size for size in detector.shown if size[0] * 3 == size[1] * 4]
    assert whole == [(4000 // level, 3000 // level) for level in levels]
    (best, full) = (
        choose_faces(each, None, (4000, 3000), "largest") for each in (found, FakeDetector()(frame, Faces.empty()))
    )
    assert len(best) == len(full) == (chosen is not None)
    if chosen is not None:
        np.testing.assert_allclose(best.xyxy[0], box_of(*faces[chosen]), atol=6)
        np.testing.assert_allclose(best.xyxy, full.xyxy, atol=6)


def test_an_unsure_face_does_not_end_the_search() -> None:
    detector = FakeDetector(lambda side: 0.05 if side > 300 else 1.0)
    frame = picture_of([(700, 900, 1400), (3000, 2000, 500)])
    find_largest(frame, detector, SMALLEST)
    assert (4000, 3000) in detector.shown
    assert len(find_largest(picture_of([(700, 900, 1400)]), detector, SMALLEST)) == 1


def test_small_pictures_are_searched_as_they_are() -> None:
    for search in (
        lambda frame, detector: find_largest(frame, detector, SMALLEST),
        lambda frame, detector: find_known(frame, Faces(np.array([[0, 0, 100, 100]], np.float32)), detector, SMALLEST),
    ):
        detector = FakeDetector()
        search(picture_of([(400, 300, 200)], (1200, 799)), detector)
        assert detector.shown == [(1200, 799)]


@pytest.mark.parametrize("diameter", [90, 200, 450, 1500])
def test_near_a_known_box_little_is_searched(diameter: int) -> None:
    face = 1500, 1400, diameter
    detector = FakeDetector()
    known = Faces(np.array([box_of(*face)], np.float32) + np.float32(0.1 * diameter))
    found = find_known(picture_of([face, (3500, 400, 700)]), known, detector, SMALLEST)
    np.testing.assert_allclose(found.xyxy[0], box_of(*face), atol=2 + diameter / 100)
    assert sum(width * height for width, height in detector.shown) < 1_100_000


@pytest.mark.parametrize("box", [(-500, -500, -100, -100), (5000, 100, 5400, 500), (3990, 2990, 3990, 2990)])
def test_a_known_box_outside_the_picture_has_no_faces(box: Box) -> None:
    known = Faces(np.array([box], np.float32))
    assert len(find_known(picture_of([(700, 900, 300)]), known, FakeDetector(), SMALLEST)) == 0


@pytest.fixture(scope="module")
def large_photo(astronaut_path: Path) -> bytes:
    """The portrait five times as large, in the corner of 12 megapixels, as a camera would write it."""
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    portrait = cv2.resize(read_image(astronaut_path), None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    canvas[900 : 900 + portrait.shape[0], 200 : 200 + portrait.shape[1]] = portrait
    return cv2.imencode(".jpg", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))[1].tobytes()


def test_the_chip_of_a_large_photo_is_that_of_dlib_for_the_same_rectangle(large_photo: bytes) -> None:
    aligner, sizes = Aligner(140, 0.4), []

    def detector(frame: Frame, faces: Faces) -> Faces:
        sizes.append(frame.shape)
        return HogDetector()(frame, faces)

    def decode(data: bytes, name: str) -> Frame:
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    tools = Tools(detector, aligner, decode, "sha", smallest_face=72)
    (row,) = process_picture(large_photo, Sample("1.jpg", 3, 3, 1), PreprocessSettings("test"), tools).rows
    assert sizes[0] == (750, 1000, 3)
    rgb = decode(large_photo, "")
    left, top, right, bottom = map(int, row["box"])
    rectangle = dlib.rectangle(left, top, right - 1, bottom - 1)
    shape = dlib.shape_predictor(str(LANDMARKS_PATH))(rgb, rectangle)
    theirs = dlib.get_face_chip(rgb, shape, 140, 0.4)
    np.testing.assert_array_equal(decode_chip(row["image"]["bytes"]), decode_chip(encode_chip(theirs)))
    assert row["landmarks"] == [float(value) for point in shape.parts() for value in (point.x, point.y)]
