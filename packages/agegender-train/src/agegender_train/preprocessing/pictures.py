"""One picture becomes rows of the store: decode it, find the face, align it, encode the chip."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from agegender_core import Aligner, HogDetector, YuNetDetector, decode_image
from agegender_core.faces import Faces, Frame, Stage
from agegender_train.datasets import Rejection, Sample
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.preprocessing.search import Policy, SeveralFacesError, choose_faces, find_known, find_largest
from agegender_train.store.faces import face_columns

Detector: TypeAlias = Literal["hog", "yunet"]
Boxes: TypeAlias = Literal["detect", "known", "detect-then-known"]
Row: TypeAlias = dict[str, Any]
"""A row of the store, by the columns of `store.SCHEMA`."""

UNREADABLE = "unreadable"
NO_FACE = "no face"
NO_KNOWN_BOX = "no known box"
TOO_SMALL = "too small"
SEVERAL_FACES = "several faces"
_SMALLEST_HOG_FACE = 72


@dataclass(frozen=True)
class PreprocessSettings:
    """How a picture becomes rows.

    Attributes:
        dataset: name of the reader.
        boxes: "detect" takes the detector's faces, "known" the reader's box, "detect-then-known" the reader's box where
            the detector finds nothing there.
        chip_size: side of a chip in pixels.
        chip_padding: margin around the face, as a part of the face's side.
        detector_upsample: how many times the picture is doubled before detection.
        min_face: pixels; faces whose box has a shorter side are left out.
        detector: "hog" is dlib's, "yunet" OpenCV's network, which finds more, and smaller, faces.
        faces: what to do with several faces and no known box: "largest" takes the largest of those in the middle, else
            the largest; "one" rejects the picture; "all" gives each face the picture's label.

    Raises:
        ValueError: an attribute is out of range.
    """

    dataset: str
    boxes: Boxes = "detect-then-known"
    chip_size: int = 140
    chip_padding: float = 0.4
    detector_upsample: int = 0
    min_face: int = 24
    detector: Detector = "hog"
    faces: Policy = "largest"

    def __post_init__(self) -> None:
        for name, allowed in (("boxes", Boxes), ("detector", Detector), ("faces", Policy)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}, got {getattr(self, name)!r}")
        if not 16 <= self.chip_size <= 2048:
            raise ValueError(f"size must be in 16..2048 pixels, got {self.chip_size}")
        if not 0 <= self.chip_padding <= 4:
            raise ValueError(f"padding must be in 0..4, got {self.chip_padding}")
        if not 0 <= self.detector_upsample <= 4:
            raise ValueError(f"detector_upsample must be in 0..4, got {self.detector_upsample}")
        if self.detector_upsample and self.detector == "yunet":
            raise ValueError("detector_upsample is for the hog detector; yunet finds small faces without it")
        if not 1 <= self.min_face <= 10_000:
            raise ValueError(f"min_face must be in 1..10000 pixels, got {self.min_face}")


@dataclass(frozen=True)
class Tools:
    """The parts that do the work; one set serves all threads.

    Attributes:
        detector: a stage that finds faces: fills `xyxy` and `score`.
        aligner: a stage that fills `landmarks` and `chips`.
        decode: turns a file's bytes and name into a frame, or raises ValueError.
        landmarks_sha256: of the aligner's landmark model.
        detector_sha256: of the detector's model file, if it has one.
        smallest_face: side in pixels of the smallest faces that the detector finds; for detectors whose time grows
            with the picture, so that large ones are searched from coarse to fine. ``None`` for others.
    """

    detector: Stage
    aligner: Stage
    decode: Callable[[bytes, str], Frame]
    landmarks_sha256: str
    detector_sha256: str | None = None
    smallest_face: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one picture: rows or a rejection, never both.

    Attributes:
        rows: one for each face; more than one only where `PreprocessSettings.faces` is "all".
        rejection: why there are no rows.
        faces: how many faces the detector found, as far as the search went.
    """

    rows: list[Row]
    rejection: Rejection | None
    faces: int


def default_tools(
    settings: PreprocessSettings,
    landmarks: str | os.PathLike[str] | None = None,
    detector_model: str | os.PathLike[str] | None = None,
) -> Tools:
    """`agegender_core`'s detector, aligner and decoder for these settings.

    Args:
        settings: which detector, and the chips' size and padding.
        landmarks: a dlib 5-point model file instead of the built-in one.
        detector_model: YuNet's model file; by default the one that comes with `agegender_core`.

    Raises:
        ValueError: a model file isn't what it should be, or is given for a detector that has none.
        OSError: a model file can't be read.
    """
    aligner = Aligner(size=settings.chip_size, padding=settings.chip_padding, landmarks=landmarks)
    if settings.detector == "hog":
        if detector_model is not None:
            raise ValueError(f"detector_model is for the yunet detector; hog has none, got {detector_model}")
        hog = HogDetector(settings.detector_upsample)
        smallest = _SMALLEST_HOG_FACE / 2**settings.detector_upsample
        return Tools(hog, aligner, decode_image, aligner.landmarks_sha256, smallest_face=smallest)
    yunet = YuNetDetector(detector_model)
    return Tools(yunet, aligner, decode_image, aligner.landmarks_sha256, yunet.model_sha256)


def process_picture(data: bytes, sample: Sample, settings: PreprocessSettings, tools: Tools) -> Outcome:
    """The rows of one picture, or why it has none.

    Args:
        data: the picture file's bytes.
        sample: its label.
        settings: how it becomes rows.
        tools: the parts that do the work.
    """
    try:
        return _rows_or_rejection(data, sample, settings, tools)
    except (ValueError, MemoryError) as error:  # one picture that a part of ours can't take must not end the batch
        reason = str(error) or ("too little memory" if isinstance(error, MemoryError) else type(error).__name__)
        return Outcome([], Rejection(sample.key, UNREADABLE, reason), 0)


def _rows_or_rejection(data: bytes, sample: Sample, settings: PreprocessSettings, tools: Tools) -> Outcome:
    def rejected(reason: str, value: str = "", faces: int = 0) -> Outcome:
        return Outcome([], Rejection(sample.key, reason, value), faces)

    frame = tools.decode(data, sample.key)
    height, width = frame.shape[:2]
    known = _known_face(sample, width, height)
    found = Faces.empty() if settings.boxes == "known" else _find(frame, known, settings, tools)
    try:
        chosen, box_from = choose_faces(found, known, (width, height), settings.faces), "detected"
    except SeveralFacesError as several:
        return rejected(SEVERAL_FACES, str(several.count), len(found))
    if not len(chosen) and known is not None and settings.boxes != "detect":
        chosen, box_from = known, "known"
    if not len(chosen):
        reason = NO_KNOWN_BOX if settings.boxes == "known" else NO_FACE
        return rejected(reason, f"{len(found)} elsewhere" if len(found) else "", len(found))
    sides = chosen.xyxy[:, 2:] - chosen.xyxy[:, :2]
    large = sides.min(axis=1) >= settings.min_face
    if not large.any():
        return rejected(TOO_SMALL, f"{sides[0, 0]:.0f} x {sides[0, 1]:.0f}", len(found))
    about = _about_picture(data, sample, settings.dataset, width, height)
    faces = tools.aligner(frame, chosen if large.all() else chosen[large])
    rows = _rows_of_faces(faces, sample.key, box_from)
    return Outcome([about | row for row in rows], None, len(found))


def _find(frame: Frame, known: Faces | None, settings: PreprocessSettings, tools: Tools) -> Faces:
    if tools.smallest_face is not None and known is not None:
        return find_known(frame, known, tools.detector, tools.smallest_face)
    if tools.smallest_face is not None and settings.faces == "largest":
        return find_largest(frame, tools.detector, tools.smallest_face)
    return tools.detector(frame, Faces.empty())


def _about_picture(data: bytes, sample: Sample, dataset: str, width: int, height: int) -> Row:
    return {
        "dataset": dataset,
        "key": sample.key,
        "age_low": sample.age_low,
        "age_high": sample.age_high,
        "gender": sample.gender,
        "group": sample.group,
        "subject": sample.subject,
        "split": sample.split,
        "picture_width": width,
        "picture_height": height,
        "picture_sha256": hashlib.sha256(data).hexdigest(),
    }


def _rows_of_faces(faces: Faces, key: str, box_from: str) -> Iterator[Row]:
    assert faces.chips is not None
    for face, chip in enumerate(faces.chips):
        yield {"face": face} | face_columns(faces, face, key, box_from, perceptual_hash(chip))


def _known_face(sample: Sample, width: int, height: int) -> Faces | None:
    if sample.known_xyxy is not None:
        return Faces(np.array([sample.known_xyxy], np.float32))
    if sample.known_box is not None:
        return Faces(np.array([sample.known_box], np.float32) * np.array([width, height] * 2, np.float32))
    return None
