"""What goes out for machines: faces and frames as plain dictionaries that any JSON writer takes."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
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
    def source(self) -> str:
        """The name of the frame's source, where it has one."""

    @property
    def captured(self) -> float | None:
        """When a live source's frame came in, in seconds since 1970."""

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


UNREADABLE = 0.3
"""Of faces of a lower quality nothing is written into drawings, and tables show them dim."""


def shown_gender(p_male: float) -> str:
    """The word for a probability of male as people see it: with a question mark where it is unsure."""
    return gender_of(p_male) + ("?" if max(p_male, 1 - p_male) < UNSURE else "")


def shown_age(age: float) -> int:
    """An age in whole years as people see it, in drawings and tables alike: half a year counts up."""
    return math.floor(age + 0.5)


def shown_interval(interval: tuple[float, float]) -> str:
    """Both ends of an interval of ages as people see them: "25-38"."""
    return f"{shown_age(interval[0])}-{shown_age(interval[1])}"


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


FACE_COLUMNS = (
    *("source", "frame", "time", "captured", "track_id", "left", "top", "right", "bottom", "score", "age", "age_std"),
    *("age_interval_low", "age_interval_high", "gender", "p_male", "raw_age", "raw_p_male", "quality"),
)
"""The columns of `face_rows`."""


def frame_record(result: FrameFaces) -> dict[str, Any]:
    """One frame of a video: {"source", "frame": its index, "time": seconds (3 decimals), "captured", "faces"}.

    ``source`` is there where the frame has one; ``captured``, of live sources, is when the frame came in, as
    "2026-11-26T13:15:00.042Z"; ``faces`` are `face_records`.
    """
    return {
        **({"source": plain_text(result.source)} if result.source else {}),
        "frame": result.index,
        "time": round(result.time, 3),
        **({"captured": utc_text(result.captured)} if result.captured is not None else {}),
        "faces": face_records(result.faces, raw=result.raw),
    }


def face_rows(result: FrameFaces) -> list[dict[str, Any]]:
    """One flat dictionary a face of a frame of a video, with the keys `FACE_COLUMNS`: for tables."""
    frame = {
        "source": plain_text(result.source) or None,
        "frame": result.index,
        "time": round(result.time, 3),
        "captured": utc_text(result.captured),
    }
    rows = []
    for record in face_records(result.faces, raw=result.raw):
        edges = dict(zip(("left", "top", "right", "bottom"), record.pop("box"), strict=True))
        low, high = record.pop("age_interval") or (None, None)
        raw = {f"raw_{name}": value for name, value in record.pop("raw").items()}
        merged = {**frame, **edges, **record, **raw, "age_interval_low": low, "age_interval_high": high}
        rows.append({name: merged.get(name) for name in FACE_COLUMNS})
    return rows


def utc_text(seconds: float | None) -> str | None:
    """Seconds since 1970 as "2026-11-26T13:15:00.042Z"."""
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def plain_text(text: str) -> str:
    """Bytes of a file's name that are no UTF-8 become ``\\xe9`` and the like: JSON has no other way to say them."""
    escaped = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()


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
