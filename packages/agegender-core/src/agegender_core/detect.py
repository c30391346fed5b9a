"""Faces in a frame."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .faces import Faces, Frame, Stage
from .frames import as_frame
from .native import is_simd, native
from .yunet import YuNetDetector


class Scores(NamedTuple):
    """The scores that a detector gives.

    Attributes:
        threshold: the one from which on its faces count by default.
        least: thresholds lie above it.
        most: thresholds lie below it.
    """

    threshold: float
    least: float
    most: float

    def check(self, threshold: float) -> None:
        """Raises ValueError unless a threshold is in range."""
        if not self.least < threshold < self.most:
            raise ValueError(f"threshold must lie between {self.least:g} and {self.most:g}, got {threshold}")


_HOG = Scores(0.0, -10, 10)
DETECTORS = {"yunet": Scores(0.6, 0, 1), "hog": _HOG, "hog-fast": _HOG}
"""The detectors by name; the first is the default."""

DEFAULT_DETECTOR = next(iter(DETECTORS))

_SMALLEST_HOG_FACE = 70.0
VIDEO_PIXELS = 400_000
"""So many pixels of a video's frame are searched at most, unless `min_face` says how small faces may be."""


def scores_of(detector: str) -> Scores:
    """The scores of the detector of that name. Raises ValueError where there is none."""
    if detector not in DETECTORS:
        raise ValueError(f"detector must be {', '.join(DETECTORS)} or a stage, got {detector!r}")
    return DETECTORS[detector]


def make_detector(
    detector: str | Stage = DEFAULT_DETECTOR,
    *,
    min_face: float | None = None,
    any_rotation: bool = False,
    upsample: int = 0,
    threshold: float | None = None,
    threads: int = 1,
    video: bool = False,
) -> Stage:
    """A detector by its name; a stage is given back as it is.

    Args:
        detector: a name of `DETECTORS`, or any stage.
        min_face: see `YuNetDetector`; for HOG the frame is doubled until such a face has 70 pixels, four times at most,
            and `HogDetector` leaves smaller faces out.
        any_rotation: see `YuNetDetector`; for it only.
        upsample: see `HogDetector`; for it only, and instead of `min_face`.
        threshold: see `HogDetector` and `YuNetDetector`; ``None``: the detector's own.
        threads: that search a frame together.
        video: search as far as the time allows that a frame of a video has: YuNet looks at 400,000 pixels unless
            `min_face` is given, and not a second time at faces that lean.

    Raises:
        ValueError: there is no such detector, or an option is out of its range or not for this detector.
    """
    if not isinstance(detector, str):
        if upsample or threshold is not None or min_face is not None or any_rotation:
            raise ValueError(
                "min_face, any_rotation, upsample and threshold are for the detectors that are chosen by name"
            )
        return detector
    least = scores_of(detector).threshold if threshold is None else threshold
    if detector != "yunet":
        if any_rotation:
            raise ValueError("any_rotation is for the yunet detector; hog finds upright faces only")
        doublings = upsample if min_face is None else _doublings(min_face, upsample)
        return HogDetector(doublings, least, exact=detector == "hog", min_face=min_face or 0, threads=threads)
    if upsample:
        raise ValueError("upsample is for the hog detector; yunet finds small faces without it, see min_face")
    search: dict[str, Any] = {"max_pixels": VIDEO_PIXELS, "straighten": False} if video else {}
    return YuNetDetector(threshold=least, min_face=min_face, any_rotation=any_rotation, threads=threads, **search)


def _doublings(min_face: float, upsample: int) -> int:
    if upsample:
        raise ValueError("min_face and upsample exclude each other: both say how small faces may be")
    if not min_face > 0:
        raise ValueError(f"min_face must be above 0 pixels, got {min_face}")
    return min(4, max(0, math.ceil(math.log2(_SMALLEST_HOG_FACE / min_face))))


class HogDetector:
    """dlib's frontal face detector (HOG and five linear filters) as a stage.

    It finds upright faces of about 70 x 70 pixels and more, turned aside by up to some 45 degrees: the same ones as
    ``dlib.get_frontal_face_detector()``. Its boxes are half-open like all of `Faces`; dlib's rectangles end a pixel
    earlier, on the last one inside. One object may be used from many threads at once.

    With ``exact=False`` (``"hog-fast"``) a cheap estimate rules out most windows before they are scored, which takes
    two thirds of the time. Of 392 faces in 368 photos and frames 391 had the same box, and the other one a box next to
    it (``scripts/compare_hog.py``).

    Args:
        upsample: how often the frame is doubled first, 0..4; each time halves the smallest face that is found and
            takes four times as long.
        threshold: the least score of a face; below 0 finds more faces and more mistakes.
        exact: find the very boxes that dlib finds.
        min_face: side in pixels of the smallest faces to look for; from 100 on it saves time.
        threads: that search a frame together. The result is the same.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        upsample: int = 0,
        threshold: float = 0.0,
        *,
        exact: bool = True,
        min_face: float = 0.0,
        threads: int = 1,
    ) -> None:
        if not 0 <= upsample <= 4:
            raise ValueError(f"upsample must be 0..4, got {upsample}")
        if not min_face >= 0:
            raise ValueError(f"min_face must be 0 pixels or more, got {min_face}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        _HOG.check(threshold)
        self.upsample = upsample
        self.threshold = threshold
        self.exact = exact
        self.min_face = min_face
        self.threads = threads
        self.simd = "x86-64-v3" if is_simd() else "baseline"
        self._native = native().HogFaceDetector()

    def __reduce__(self) -> tuple[Any, ...]:
        again = partial(type(self), exact=self.exact, min_face=self.min_face, threads=self.threads)
        return again, (self.upsample, self.threshold)

    def __call__(self, frame: Frame, faces: Faces, *, bgr: bool = False) -> Faces:
        """Replace `faces` by those found in `frame`, best score first: columns xyxy and score.

        A grey frame (H, W) is taken, too; that is faster and finds nearly the same faces. `bgr`: see `Pipeline`.
        """
        image = as_frame(frame, bgr, grey=True)
        boxes, scores = self._native.detect(
            image, self.upsample, self.threshold, self.exact, self.threads, float(self.min_face)
        )
        return Faces(xyxy=boxes.astype(np.float32), score=scores.astype(np.float32))
