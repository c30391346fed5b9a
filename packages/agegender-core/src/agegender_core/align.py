"""Landmarks and aligned chips."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame
from .frames import as_frame
from .native import native
from .stages import looked_at, to_look_at
from .upright import Upright, roll

# The landmark model has learned from faces that are nearly upright.
_UPRIGHT = 10.0
# The model's points depend on the box, and YuNet's squares only resemble those of HOG. The mean over boxes that are
# moved and grown by so many sides is steadier.
_AROUND = np.array(
    [(0.0, 0.0, 0.0), *((x, y, more) for x in (-0.06, 0.06) for y in (-0.06, 0.06) for more in (-0.08, 0.0, 0.08))]
)
_CORNERS = _AROUND[:, [0, 1, 0, 1]] + _AROUND[:, 2:] * [-0.5, -0.5, 0.5, 0.5]

LANDMARKS_PATH = Path(__file__).parent / "models" / "landmarks5.dat"
"""The 5-landmark model that comes with the package."""


class Aligner:
    """Five landmarks and an upright chip for each face, as a stage.

    The chips are those of dlib's ``get_face_chip(image, shape, size, padding)`` to the last bit, for the same box and
    landmark model. One object may be used from many threads at once.

    Args:
        size: width and height of the chips in pixels, 1..4096.
        padding: the margin around the face on each side, as a part of the face's side; >= 0.
        landmarks: a dlib shape predictor with 5 points, such as dlib's ``shape_predictor_5_face_landmarks.dat``; by
            default our own.

    Raises:
        ValueError: an option is out of its range.
        OSError: the landmark model cannot be read; the message names its path.
    """

    def __init__(self, size: int = 140, padding: float = 0.4, landmarks: str | os.PathLike[str] | None = None) -> None:
        if not 1 <= size <= 4096:
            raise ValueError(f"size must be 1..4096 pixels, got {size}")
        if not 0 <= padding <= 10:
            raise ValueError(f"padding must be 0..10, got {padding}")
        self.size = size
        self.padding = padding
        self.landmarks_path = Path(landmarks) if landmarks is not None else LANDMARKS_PATH
        self._made_of = size, padding, self.landmarks_path.absolute()
        if not self.landmarks_path.is_file():
            raise FileNotFoundError(f"no landmark model at {self.landmarks_path}")
        try:
            # As bytes: a path need not be UTF-8.
            self._model = native().LandmarkModel(os.fsencode(self.landmarks_path))
        except RuntimeError as error:
            raise OSError(str(error)) from None
        except UnicodeDecodeError:
            # The core names the path as it is.
            raise OSError(f"{self.landmarks_path} is no landmark model") from None

    @cached_property
    def landmarks_sha256(self) -> str:
        """The hash of the landmark model's file: chips are comparable only where it is the same."""
        return hashlib.sha256(self.landmarks_path.read_bytes()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __call__(self, frame: Frame, faces: Faces, *, bgr: bool = False) -> Faces:
        """Fill landmarks (unless they are there already), chips (RGB) and chip_padding. `bgr`: see `Pipeline`.

        Faces with keypoints, those of YuNet, get the mean landmarks of several boxes around their own; where they lean
        by 10 degrees or more, the landmarks are sought in an upright patch.
        """
        frame, part = as_frame(frame, bgr), to_look_at(faces)
        if faces.look is not None and len(part) == 0:
            return faces
        landmarks = part.landmarks
        if landmarks is None:
            landmarks = self._landmarks(frame, part)
        chips = native().extract_chips(frame, landmarks, self.size, self.padding)
        part = part.with_columns(landmarks=landmarks, chips=chips, chip_padding=self.padding)
        return looked_at(faces, part, "landmarks", "chips")

    def _landmarks(self, frame: Frame, faces: Faces) -> npt.NDArray[np.float32]:
        if faces.keypoints is None:
            landmarks: npt.NDArray[np.float32] = self._model.predict(frame, faces.xyxy)
            return landmarks
        angles = roll(faces.keypoints)
        leaning = np.abs(angles) >= _UPRIGHT
        landmarks = np.empty((len(faces), 5, 2), np.float32)
        landmarks[~leaning] = self._mean_landmarks(frame, faces.xyxy[~leaning])
        for row in np.flatnonzero(leaning):
            corners = faces.xyxy[row].reshape(2, 2)
            centre, side = corners.mean(axis=0), float((corners[1] - corners[0]).max())
            size = max(8, min(round(2 * side), 1024))
            patch = Upright.cut(frame, centre, 2 * side, float(angles[row]), size)
            upright = np.array([[size / 4, size / 4, size * 3 / 4, size * 3 / 4]], np.float32)
            landmarks[row] = patch.to_frame(self._mean_landmarks(patch.image, upright)[0])
        return landmarks

    def _mean_landmarks(self, frame: Frame, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        around = (boxes[:, None] + sides[:, None, None] * _CORNERS).astype(np.float32)
        points = self._model.predict(frame, around.reshape(-1, 4))
        return np.asarray(points.reshape(-1, len(_CORNERS), 5, 2).mean(axis=1), np.float32)
