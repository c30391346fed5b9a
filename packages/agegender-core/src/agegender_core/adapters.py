"""Faces in the shapes of other libraries, which are imported only when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from .columns import FaceColumns, interval_at, value_at
from .records import gender_of, shown_age


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"this needs {name}: pip install {name} (the extra agegender-core[{name}])") from None


def _genders(faces: FaceColumns) -> list[str | None]:
    values = [value_at(faces.p_male, row) for row in range(len(faces))]
    return [None if value is None else gender_of(value) for value in values]


def pandas_table(faces: FaceColumns, source: str | None) -> Any:
    """See `Faces.to_pandas`."""
    pandas = _library("pandas")
    rows = range(len(faces))

    def numbers(column: Any) -> Any:
        return pandas.Series([value_at(column, row) for row in rows], dtype="float64")

    def texts(values: list[str | None]) -> Any:
        return pandas.Series(values, dtype="string")

    ends = [interval_at(faces.age_interval, row) or (None, None) for row in rows]
    tracks = [None if faces.track_id is None else int(faces.track_id[row]) for row in rows]
    return pandas.DataFrame(
        {
            "source": texts([source] * len(faces)),
            **{edge: numbers(faces.xyxy[:, place]) for place, edge in enumerate(("left", "top", "right", "bottom"))},
            "score": numbers(faces.score),
            "age": numbers(faces.age),
            "age_std": numbers(faces.age_std),
            "age_interval_low": pandas.Series([low for low, _ in ends], dtype="float64"),
            "age_interval_high": pandas.Series([high for _, high in ends], dtype="float64"),
            "gender": texts(_genders(faces)),
            "p_male": numbers(faces.p_male),
            "quality": numbers(faces.quality),
            "track_id": pandas.Series(tracks, dtype="Int64"),
        }
    )


def supervision_detections(faces: FaceColumns) -> Any:
    """See `Faces.to_supervision`."""
    supervision = _library("supervision")
    data = {
        name: column.copy()
        for name in ("age", "age_std", "p_male", "quality")
        if (column := getattr(faces, name)) is not None
    }
    classes = None
    if faces.p_male is not None:
        genders = _genders(faces)
        codes: dict[str | None, int] = {"male": 1, "female": 0, None: -1}
        classes = np.array([codes[gender] for gender in genders], np.int64)
        data["class_name"] = np.array([gender or "unknown" for gender in genders], dtype=np.str_)
    return supervision.Detections(
        xyxy=faces.xyxy.copy(),
        confidence=None if faces.score is None else faces.score.copy(),
        class_id=classes,
        tracker_id=None if faces.track_id is None else faces.track_id.copy(),
        data=data,
    )


def deepface_dictionaries(faces: FaceColumns) -> list[dict[str, Any]]:
    """See `Faces.to_deepface`."""
    return [_deepface(faces, row) for row in range(len(faces))]


def _deepface(faces: FaceColumns, row: int) -> dict[str, Any]:
    left, top, right, bottom = (max(0, round(float(edge))) for edge in np.nan_to_num(faces.xyxy[row]))
    eyes: list[tuple[int, int] | None] = [None, None]
    if faces.landmarks is not None and np.isfinite(faces.landmarks[row]).all():
        # The corners of the person's left eye, on the picture's right, come first.
        corners = faces.landmarks[row, :4].reshape(2, 2, 2).mean(axis=1)
        eyes = [(round(float(x)), round(float(y))) for x, y in corners]
    found: dict[str, Any] = {}
    age, p_male = value_at(faces.age, row), value_at(faces.p_male, row)
    if age is not None:
        found["age"] = shown_age(age)
    if p_male is not None:
        found["gender"] = {"Woman": 100 * (1 - p_male), "Man": 100 * p_male}
        found["dominant_gender"] = "Man" if gender_of(p_male) == "male" else "Woman"
    sides = {"x": left, "y": top, "w": right - left, "h": bottom - top}
    found["region"] = {**sides, "left_eye": eyes[0], "right_eye": eyes[1]}
    found["face_confidence"] = round(value_at(faces.score, row) or 0.0, 2)
    return found
