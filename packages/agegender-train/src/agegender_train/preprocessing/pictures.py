"""One picture's way into the store: decode, find the face, align, encode."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from agegender_core.faces import Faces, Frame, Stage
from agegender_train.datasets import Rejection, Sample
from agegender_train.phash import perceptual_hash
from agegender_train.store import encode_chip

Boxes: TypeAlias = Literal["detect", "known", "detect-then-known"]
Row: TypeAlias = dict[str, Any]
"""A row of the store, by the columns of `store.SCHEMA`."""

UNREADABLE = "unreadable"
NO_FACE = "no face"
NO_KNOWN_BOX = "no known box"
TOO_SMALL = "too small"
_SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Settings:
    """What decides how a picture becomes a row.

    Attributes:
        dataset: name of the reader.
        boxes: "detect" takes the detector's faces, "known" the reader's box, "detect-then-known" the reader's box where
            the detector finds nothing there.
        chip_size: side of a chip in pixels.
        chip_padding: margin round the face, as a part of the face's side.
        detector_upsample: how many times the picture is doubled before detection.
        min_face: faces whose box has a shorter side than so many pixels are rejected.

    Raises:
        ValueError: an attribute is out of range.
    """

    dataset: str
    boxes: Boxes = "detect-then-known"
    chip_size: int = 140
    chip_padding: float = 0.4
    detector_upsample: int = 0
    min_face: int = 24

    def __post_init__(self) -> None:
        if self.boxes not in get_args(Boxes):
            raise ValueError(f"boxes must be one of {', '.join(get_args(Boxes))}, got {self.boxes!r}")
        if not 16 <= self.chip_size <= 2048:
            raise ValueError(f"size must be in 16..2048 pixels, got {self.chip_size}")
        if not 0 <= self.chip_padding <= 4:
            raise ValueError(f"padding must be in 0..4, got {self.chip_padding}")
        if not 0 <= self.detector_upsample <= 4:
            raise ValueError(f"detector_upsample must be in 0..4, got {self.detector_upsample}")


@dataclass(frozen=True)
class Tools:
    """What does the work; one set serves all threads.

    Attributes:
        detector: a stage that finds faces: fills `xyxy` and `score`.
        aligner: a stage that fills `landmarks` and `chips`.
        decode: turns a file's bytes and name into a frame, or raises ValueError.
        landmarks_sha256: which landmark model the aligner has.
    """

    detector: Stage
    aligner: Stage
    decode: Callable[[bytes, str], Frame]
    landmarks_sha256: str


def default_tools(settings: Settings, landmarks: str | os.PathLike[str] | None = None) -> Tools:
    """`agegender_core`'s detector, aligner and decoder for these settings; `landmarks` is a model file of dlib's."""
    from agegender_core import Aligner, HogDetector, decode_image

    aligner = Aligner(size=settings.chip_size, padding=settings.chip_padding, landmarks=landmarks)
    return Tools(HogDetector(upsample=settings.detector_upsample), aligner, decode_image, aligner.landmarks_sha256)


def process_picture(data: bytes, sample: Sample, settings: Settings, tools: Tools) -> tuple[Row | Rejection, int]:
    """The row of one picture, or why it has none, and how many faces the detector found in it."""
    try:
        frame = tools.decode(data, sample.key)
    except ValueError as error:
        return Rejection(sample.key, UNREADABLE, str(error)), 0
    height, width = frame.shape[:2]
    known = _known_face(sample, width, height)
    found = Faces.empty() if settings.boxes == "known" else tools.detector(frame, Faces.empty())
    chosen = choose_face(found, known, width, height)
    box_from = "known" if chosen is None else "detected"
    if chosen is None and settings.boxes != "detect":
        chosen = known
    if chosen is None:
        reason = NO_KNOWN_BOX if settings.boxes == "known" else NO_FACE
        return Rejection(sample.key, reason, f"{len(found)} elsewhere" if len(found) else ""), len(found)
    left, top, right, bottom = (float(edge) for edge in chosen.xyxy[0])
    if min(right - left, bottom - top) < settings.min_face:
        return Rejection(sample.key, TOO_SMALL, f"{right - left:.0f} x {bottom - top:.0f}"), len(found)
    face = tools.aligner(frame, chosen)
    assert face.chips is not None
    assert face.landmarks is not None
    row = {
        "image": {"bytes": encode_chip(face.chips[0]), "path": sample.key},
        "dataset": settings.dataset,
        "key": sample.key,
        "face": 0,
        "age_low": sample.age_low,
        "age_high": sample.age_high,
        "gender": sample.gender,
        "group": sample.group,
        "subject": sample.subject,
        "split": sample.split,
        "box": [left, top, right, bottom],
        "box_from": box_from,
        "score": None if face.score is None else float(face.score[0]),
        "landmarks": face.landmarks[0].ravel().tolist(),
        "picture_width": width,
        "picture_height": height,
        "picture_sha256": hashlib.sha256(data).hexdigest(),
        "phash": perceptual_hash(face.chips[0]),
    }
    return row, len(found)


def _known_face(sample: Sample, width: int, height: int) -> Faces | None:
    if sample.known_xyxy is not None:
        return Faces(np.array([sample.known_xyxy], np.float32))
    if sample.known_box is not None:
        return Faces(np.array([sample.known_box], np.float32) * np.array([width, height] * 2, np.float32))
    return None


def choose_face(found: Faces, known: Faces | None, width: int, height: int) -> Faces | None:
    """The one of the `found` faces that the label is about: a row of it, or ``None``.

    With a known box, it is the face that overlaps it most, if their IoU is at least 0.3: another face is another
    person. Without one, it is the largest face of those that hold the picture's centre, else the largest of all.
    """
    if not len(found):
        return None
    left, top, right, bottom = found.xyxy.T
    area = (right - left) * (bottom - top)
    if known is None:
        x, y = width / 2, height / 2
        central = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
        best = int(np.argmax(np.where(central, area + width * height, area)))
        return found[best : best + 1]
    known_left, known_top, known_right, known_bottom = known.xyxy[0]
    common = np.maximum(np.minimum(right, known_right) - np.maximum(left, known_left), 0) * np.maximum(
        np.minimum(bottom, known_bottom) - np.maximum(top, known_top), 0
    )
    iou = common / (area + (known_right - known_left) * (known_bottom - known_top) - common)
    best = int(np.argmax(iou))
    return found[best : best + 1] if iou[best] >= _SAME_FACE_IOU else None
