"""The one record that goes through every stage of a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from .adapters import deepface_dictionaries, pandas_table, supervision_detections
from .annotated import Annotated, faces_html
from .face import Face, face_at, summary
from .frames import Frame as Frame
from .records import face_records

if TYPE_CHECKING:
    import pandas
    import supervision

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
    "look": (np.bool_, ()),
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

    A column that no stage has filled is ``None``. Stages keep the order of rows. ``for face in faces`` and ``faces[0]``
    give a `Face`, whose values are plain Python numbers; a slice, a mask such as ``faces[faces.age >= 18]`` and a list
    of rows give `Faces` again.

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
        look: bool (n,), which faces of a video's frame the aligner and the network look at, see `LookPlan`; the others
            have NaN and empty chips. ``None``: all.
        picture: the picture that the faces are in, or what reads it again; only `analyze` sets it, so that a video's
            faces hold no frames. See `image`.
        source: the picture's name, such as its path, where it has one.
        error: why the picture could not be read, in what `analyze` gives of several; there are no faces then.

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
    look: npt.NDArray[np.bool_] | None = None
    picture: Frame | Callable[[], Frame] | None = None
    source: str | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._check(_COLUMNS)

    def _check(self, names: Iterable[str]) -> None:
        for name in names:
            dtype, shape = _COLUMNS[name]
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

    def __iter__(self) -> Iterator[Face]:
        """Each face as a `Face`."""
        return (face_at(self, row) for row in range(len(self)))

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Face: ...
    @overload
    def __getitem__(self, rows: slice | list[int] | list[bool] | npt.NDArray[Any]) -> Faces: ...
    def __getitem__(
        self, rows: int | np.integer[Any] | slice | list[int] | list[bool] | npt.NDArray[Any]
    ) -> Face | Faces:
        """One face by its number, from the end if it is negative; or the faces of a slice, of indices or of a mask.

        Raises:
            IndexError: there is no such row.
        """
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of {len(self)} faces")
            return face_at(self, int(rows) % len(self))
        if isinstance(rows, list) and not rows:
            rows = slice(0)
        picked = {name: getattr(self, name) for name in _COLUMNS}
        return replace(self, **{name: column[rows] for name, column in picked.items() if column is not None})

    def __repr__(self) -> str:
        return f"Faces({summary(self)})" if self.error is None else f"Faces(unreadable: {self.error})"

    def _repr_html_(self) -> str:
        try:
            image = self.image
        except (OSError, ValueError):  # its file is gone, or another one by now; the table is there all the same
            image = None
        return faces_html(self, image, repr(self), self.source)

    @property
    def image(self) -> Frame | None:
        """The picture: uint8 RGB (H, W, 3), turned upright; ``None`` where it is not known.

        Of several pictures only the names or the encoded bytes are kept, and each is read again when it is asked for:
        the faces of a large folder fit into the memory, its pictures don't.

        Raises:
            OSError: its file is no longer there.
            ImageError: its file has become unreadable.
        """
        return self.picture() if callable(self.picture) else self.picture

    def annotate(self, image: Frame | None = None, *, scale: float = 1.0, bgr: bool = False) -> Annotated:
        """The picture with the faces drawn in; ``.save("drawn.jpg")`` writes it, ``numpy.asarray`` gives its pixels.

        Args:
            image: uint8 (H, W, 3), the picture, for faces that don't come from `analyze`.
            scale: makes text and lines larger or smaller; > 0.
            bgr: the channels of `image` are blue, green, red, as OpenCV has them.

        Raises:
            ValueError: no picture is known and none was given, or an argument is not as above.
        """
        if image is None:
            image, bgr = self.image, False
        if image is None and self.error is not None:
            raise ValueError(f"there is no picture to draw into: {self.error}")
        if image is None:
            raise ValueError("these faces don't know their picture: pass it, annotate(image)")
        return Annotated.of(image, self, scale, bgr, self.source)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a face, of plain Python numbers that ``json`` takes: see `face_records`."""
        return face_records(self)

    def to_pandas(self) -> pandas.DataFrame:
        """One row a face, always with the same columns, so that tables of several pictures can be put together.

        The columns: ``source``, ``left``, ``top``, ``right``, ``bottom`` (pixels), ``score``, ``age``, ``age_std``,
        ``age_interval_low``, ``age_interval_high`` (years), ``gender``, ``p_male``, ``quality``, ``track_id``. What is
        not known is missing (NaN or ``pandas.NA``).

        Raises:
            ImportError: pandas isn't installed: the extra agegender-core[pandas].
        """
        return pandas_table(self, self.source)

    def to_supervision(self) -> supervision.Detections:
        """The faces as ``supervision.Detections``, for its annotators, zones and trackers.

        ``class_id`` is 1 for male, 0 for female and -1 where it is not known, ``class_name`` in ``data`` the word for
        it; ``age``, ``age_std``, ``p_male`` and ``quality`` are in ``data`` where they are known.

        Raises:
            ImportError: supervision isn't installed: the extra agegender-core[supervision].
        """
        return supervision_detections(self)

    def to_deepface(self) -> list[dict[str, Any]]:
        """What ``DeepFace.analyze(..., actions=("age", "gender"))`` gives: a list with one dictionary a face.

        The keys: ``region`` (``x``, ``y``, ``w``, ``h`` in whole pixels, ``left_eye`` and ``right_eye``, of the
        person), ``face_confidence`` (the detector's score), ``age`` (whole years), ``gender`` (percentages of
        "Woman" and "Man"), ``dominant_gender``. What the model has not learned is left out. Where DeepFace raises
        because there is no face, the list is empty.
        """
        return deepface_dictionaries(self)

    def with_columns(self, **columns: Any) -> Faces:
        """A copy with some columns replaced; it shares the memory of the rest."""
        if not columns.keys() <= _COLUMNS.keys() or "xyxy" in columns:
            return replace(self, **columns)
        # The others are checked already; a dozen stages do this with each frame of a video.
        changed = copy(self)
        changed.__dict__.update(columns)
        changed._check(columns)
        return changed


Stage: TypeAlias = Callable[[Frame, Faces], Faces]
"""One step of a pipeline: takes a frame and its faces, gives the faces with more columns filled."""
