"""What goes out for machines: faces and frames as plain dictionaries that any JSON writer takes."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from .columns import FaceColumns


class FrameFaces(Protocol):
    """What is written of a frame of a video: see `FrameResult`."""

    @property
    def index(self) -> int:
        """The number of the frame in its source, from 0."""

    @property
    def time(self) -> float:
        """Seconds since the source's first frame."""

    @property
    def faces(self) -> FaceColumns:
        """The faces after all stages."""

    @property
    def raw(self) -> FaceColumns:
        """The same rows before smoothing."""


def gender_of(p_male: float) -> Literal["female", "male"]:
    """The word for a probability of male: "male" from 0.5 up."""
    return "male" if p_male >= 0.5 else "female"


UNSURE = 0.7
"""Below this probability a gender is shown with a question mark: it is wrong in three or four of ten faces."""


def shown_gender(p_male: float) -> str:
    """The word for a probability of male as people see it: with a question mark where it is unsure."""
    return gender_of(p_male) + ("?" if max(p_male, 1 - p_male) < UNSURE else "")


def face_records(faces: FaceColumns, raw: FaceColumns | None = None) -> list[dict[str, Any]]:
    """One dictionary a face, in the order of rows.

    Its keys: ``box`` (left, top, right, bottom in pixels, 2 decimals), ``score`` (4), ``age``, ``age_std`` (years, 2),
    ``age_interval`` (low and high end, years, 2), ``gender`` ("female" or "male"), ``p_male`` (4), ``quality`` (2). A
    column that no stage has filled gives ``None``, as does a value that is not finite. ``track_id`` is there when the
    column is: -1 for a face without a confirmed track.

    Args:
        faces: what to write.
        raw: the same rows before smoothing; adds ``raw``: {"age", "p_male"}.

    Raises:
        ValueError: `raw` has another number of rows.
    """
    if raw is not None and len(raw) != len(faces):
        raise ValueError(f"raw must have the {len(faces)} rows of faces, got {len(raw)}")
    return [_face_record(faces, raw, row) for row in range(len(faces))]


def frame_record(result: FrameFaces) -> dict[str, Any]:
    """One frame of a video: {"frame": its index, "time": seconds (3 decimals), "faces": `face_records`}."""
    return {
        "frame": result.index,
        "time": round(result.time, 3),
        "faces": face_records(result.faces, raw=result.raw),
    }


def _face_record(faces: FaceColumns, raw: FaceColumns | None, row: int) -> dict[str, Any]:
    p_male = _number(faces.p_male, row, 4)
    record: dict[str, Any] = {
        "box": [_number(edges, row, 2) for edges in faces.xyxy.T],
        "score": _number(faces.score, row, 4),
        "age": _number(faces.age, row, 2),
        "age_std": _number(faces.age_std, row, 2),
        "age_interval": _interval(faces.age_interval, row),
        # From the rounded number, so that a reader who derives it again finds the same.
        "gender": None if p_male is None else gender_of(p_male),
        "p_male": p_male,
        "quality": _number(faces.quality, row, 2),
    }
    if faces.track_id is not None:
        record["track_id"] = int(faces.track_id[row])
    if raw is not None:
        record["raw"] = {"age": _number(raw.age, row, 2), "p_male": _number(raw.p_male, row, 4)}
    return record


def _interval(column: npt.NDArray[np.float32] | None, row: int) -> list[float | None] | None:
    ends = [] if column is None else [_number(end, row, 2) for end in column.T]
    return ends if ends and None not in ends else None


def _number(column: npt.NDArray[np.float32] | None, row: int, digits: int) -> float | None:
    if column is None:
        return None
    value = float(column[row])
    return round(value, digits) if math.isfinite(value) else None


def finite(value: Any) -> Any:
    """The same with ``None`` for NaN and infinity, which JSON doesn't have, in lists and dicts, too."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
