"""One face, as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .columns import FaceColumns, interval_at, value_at
from .records import gender_of, shown_age, shown_gender, shown_interval
from .spelling import count

_SHOWN = 4


@dataclass(frozen=True, repr=False)
class Face:
    """One face of `Faces`, as plain Python values. What is not known is ``None``.

    Attributes:
        box: left, top, right, bottom in pixels of the picture.
        score: the detector's confidence.
        age: expected age in years.
        age_std: standard deviation of the age in years.
        age_interval: low and high end, in years, of the interval that holds nine true ages of ten.
        gender: "female" or "male".
        p_male: probability of male, in [0, 1].
        quality: how much can be made of the face, in [0, 1].
        track_id: the number of its track in a video; -1 before it has one.
        landmarks: x and y in pixels of the five points that `Faces` describes.
        chip: the aligned face, uint8 RGB (S, S, 3).
    """

    box: tuple[float, float, float, float]
    score: float | None = None
    age: float | None = None
    age_std: float | None = None
    age_interval: tuple[float, float] | None = None
    gender: Literal["female", "male"] | None = None
    p_male: float | None = None
    quality: float | None = None
    track_id: int | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None
    chip: npt.NDArray[np.uint8] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        left, top, right, bottom = self.box
        where = f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}"
        words = in_words(self)
        return f"Face({words}, {where})" if words else f"Face({where})"


def face_at(faces: FaceColumns, row: int) -> Face:
    """Row `row` of `faces`, 0..n-1."""
    left, top, right, bottom = faces.xyxy[row].tolist()
    p_male = value_at(faces.p_male, row)
    points = None if faces.landmarks is None else faces.landmarks[row].tolist()
    return Face(
        box=(left, top, right, bottom),
        score=value_at(faces.score, row),
        age=value_at(faces.age, row),
        age_std=value_at(faces.age_std, row),
        age_interval=interval_at(faces.age_interval, row),
        gender=None if p_male is None else gender_of(p_male),
        p_male=p_male,
        quality=value_at(faces.quality, row),
        track_id=None if faces.track_id is None else int(faces.track_id[row]),
        landmarks=None if points is None else tuple((x, y) for x, y in points),
        chip=None if faces.chips is None else faces.chips[row],
    )


def in_words(face: Face) -> str:
    """Gender, age and interval, as far as they are known: "female 31 (25-38)"; an unsure gender as "female?"."""
    words: list[str] = []
    if face.p_male is not None:
        words.append(shown_gender(face.p_male))
    elif face.gender is not None:
        words.append(face.gender)
    if face.age is not None:
        words.append(str(shown_age(face.age)))
    if face.age_interval is not None:
        words.append(f"({shown_interval(face.age_interval)})")
    return " ".join(words)


def summary(faces: FaceColumns) -> str:
    """How many faces there are, and the first of them: "2 faces: female 31 (25-38), male 8 (4-12)"."""
    if len(faces) == 0:
        return "no faces"
    first = [in_words(face_at(faces, row)) for row in range(min(len(faces), _SHOWN))]
    counted = count(len(faces), "face")
    if not any(first):
        return counted
    rest = f" and {len(faces) - _SHOWN} more" if len(faces) > _SHOWN else ""
    return f"{counted}: {', '.join(words or 'unknown' for words in first)}{rest}"
