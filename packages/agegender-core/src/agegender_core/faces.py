"""The one record that goes through every stage of a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]
"""An image array: uint8 RGB, (H, W, 3), C-contiguous."""

_COLUMNS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "xyxy": (np.float32, (4,)),
    "score": (np.float32, ()),
    "landmarks": (np.float32, (5, 2)),
    "chips": (np.uint8, (-1, -1, 3)),
    "age": (np.float32, ()),
    "age_std": (np.float32, ()),
    "age_interval": (np.float32, (2,)),
    "age_probs": (np.float32, (101,)),
    "p_male": (np.float32, ()),
    "track_id": (np.int64, ()),
    "keypoints": (np.float32, (5, 2)),
    "quality": (np.float32, ()),
}


class FormerIntervalEnds:
    """The ends of `age_interval` under their names up to 0.1."""

    age_interval: npt.NDArray[np.float32] | None

    @property
    def age_low(self) -> npt.NDArray[np.float32] | None:
        """Now called ``age_interval[:, 0]``."""
        return self._end("age_low", 0)

    @property
    def age_high(self) -> npt.NDArray[np.float32] | None:
        """Now called ``age_interval[:, 1]``."""
        return self._end("age_high", 1)

    def _end(self, name: str, column: int) -> npt.NDArray[np.float32] | None:
        warnings.warn(f"{name} is now called age_interval[:, {column}]", DeprecationWarning, stacklevel=3)
        return None if self.age_interval is None else self.age_interval[:, column]


@dataclass(frozen=True, eq=False)
class Faces(FormerIntervalEnds):
    """The faces of one frame as a struct of arrays: row i of every column is the same face.

    A column that no stage has filled is ``None``. Stages keep the order of rows.

    Attributes:
        xyxy: float32 (n, 4), half-open boxes in pixels of the frame: left, top, right, bottom; the width is right less
            left.
        score: float32 (n,), the detector's confidence; for dlib's HOG the distance from its decision plane.
        landmarks: float32 (n, 5, 2), x and y in pixels, in the order of dlib's 5-point model: the outer and inner
            corner of the eye on the picture's right, those of the eye on the left, the base of the nose.
        chips: uint8 (n, S, S, 3), aligned RGB faces.
        chip_padding: the margin that `chips` were cut with, as a part of the face's side; ``None`` without chips.
        age: float32 (n,), expected age in years. This and the following stay ``None`` where the model has not learned
            them; after a smoother they are NaN then.
        age_std: float32 (n,), standard deviation of the age in years.
        age_interval: float32 (n, 2), years: the 90 % prediction interval, from its low to its high end. It holds the
            true age nine times in ten, on faces like those that the model was calibrated on.
        age_probs: float32 (n, 101), probability of the ages 0..100; each row sums to 1.
        p_male: float32 (n,), probability of male, in [0, 1].
        track_id: int64 (n,), -1 for a face without a confirmed track.
        time: seconds since the first frame of the video that these are the faces of; 0 for a picture.
        frame: number of that frame in its source, from 0; 0 for a picture.
        keypoints: float32 (n, 5, 2), x and y in pixels of the points that the detector itself gives, if it does: the
            eye on the picture's left (of an upright face), that on its right, the tip of the nose, the corners of the
            mouth, left and right.
        quality: float32 (n,), in [0, 1], how much can be made of the face: see `FaceQuality`.

    Raises:
        ValueError: a column's dtype, shape or number of rows is not as above.
    """

    xyxy: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32] | None = None
    landmarks: npt.NDArray[np.float32] | None = None
    chips: npt.NDArray[np.uint8] | None = None
    chip_padding: float | None = None
    age: npt.NDArray[np.float32] | None = None
    age_std: npt.NDArray[np.float32] | None = None
    age_probs: npt.NDArray[np.float32] | None = None
    p_male: npt.NDArray[np.float32] | None = None
    track_id: npt.NDArray[np.int64] | None = None
    age_interval: npt.NDArray[np.float32] | None = None
    time: float = 0.0
    frame: int = 0
    keypoints: npt.NDArray[np.float32] | None = None
    quality: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name, (dtype, shape) in _COLUMNS.items():
            column = getattr(self, name)
            if column is None:
                continue
            if not isinstance(column, np.ndarray) or column.dtype != dtype:
                found = getattr(column, "dtype", type(column).__name__)
                raise ValueError(f"Faces.{name} must be an array of {np.dtype(dtype).name}, got {found}")
            matches = column.ndim == 1 + len(shape) and all(
                want in (-1, got) for want, got in zip(shape, column.shape[1:], strict=True)
            )
            if not matches:
                expected = ", ".join(["n", *("S" if size < 0 else str(size) for size in shape)])
                raise ValueError(f"Faces.{name} must have shape ({expected}), got {column.shape}")
            if len(column) != len(self.xyxy):
                raise ValueError(f"Faces.{name} has {len(column)} rows, but there are {len(self.xyxy)} boxes")

    @classmethod
    def empty(cls, time: float = 0.0, frame: int = 0) -> Faces:
        """No faces: what a pipeline starts from; `time` and `frame` are those of the frame."""
        return cls(xyxy=np.empty((0, 4), np.float32), score=np.empty(0, np.float32), time=time, frame=frame)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __iter__(self) -> Iterator[Faces]:
        """Each face, as `Faces` with one row."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: int | slice | list[int] | npt.NDArray[Any]) -> Faces:
        """The faces of `rows` (a number, a slice, indices or a mask), with every column that is set.

        A single number, from the end if it is negative, gives `Faces` with one row.

        Raises:
            IndexError: there is no such row.
        """
        if isinstance(rows, int | np.integer):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of {len(self)} faces")
            rows = [int(rows)]
        picked = {name: getattr(self, name) for name in _COLUMNS}
        return replace(self, **{name: column[rows] for name, column in picked.items() if column is not None})

    def __repr__(self) -> str:
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        names = [name for name in given if name not in ("time", "frame")]
        return f"Faces(n={len(self)}, {', '.join(names)})"

    def with_columns(self, **columns: Any) -> Faces:
        """A copy with some columns replaced; it shares the memory of the rest."""
        return replace(self, **columns)


Stage: TypeAlias = Callable[[Frame, Faces], Faces]
"""One step of a pipeline: takes a frame and its faces, gives the faces with more columns filled."""
