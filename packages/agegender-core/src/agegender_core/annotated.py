"""Pictures with faces drawn in, as files and in notebooks."""

from __future__ import annotations

import base64
import html
import os
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .columns import FaceColumns
from .draw import draw_faces
from .face import face_at
from .frames import Frame, contiguous
from .images import write_image
from .records import shown_age, shown_gender, shown_interval

_MOST_PIXELS, _MOST_ROWS = 800, 20


class Annotated:
    """A picture with faces drawn in: what `Faces.annotate` gives.

    A notebook shows it, ``numpy.asarray`` gives its pixels, and ``PIL.Image.fromarray(numpy.asarray(it))`` is one of
    Pillow's pictures.

    Attributes:
        image: uint8 RGB (H, W, 3).
    """

    def __init__(self, image: Frame, source: str | None = None) -> None:
        self.image = image
        self._source = source

    @classmethod
    def of(
        cls, image: Frame, faces: FaceColumns, scale: float = 1.0, bgr: bool = False, source: str | None = None
    ) -> Annotated:
        """Draw faces into a copy of `image`, which comes from the file `source`: see `draw_faces`."""
        drawn = draw_faces(image, faces, scale, bgr=bgr)
        return cls(contiguous(drawn[..., ::-1]) if bgr else drawn, source)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as a file of the kind that the path's suffix says, whole or not at all.

        Raises:
            ValueError: no picture can be written under that suffix, or it is the file that the faces were found in.
            OSError: the file can't be written.
        """
        there = self._source is not None and os.path.exists(path) and os.path.exists(self._source)
        if there and os.path.samefile(path, str(self._source)):
            raise ValueError(f"{os.fspath(path)} is the picture itself: save the drawing under another name")
        write_image(path, self.image)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        converts = dtype is not None and np.dtype(dtype) != self.image.dtype
        if converts and copy is False:
            raise ValueError("pixels of another dtype than uint8 are a copy")
        return self.image.astype(dtype) if converts else self.image.copy() if copy else self.image

    def __repr__(self) -> str:
        return f"Annotated({self.image.shape[1]} x {self.image.shape[0]})"

    def _repr_jpeg_(self) -> bytes:
        return _small_jpeg(self.image)


def _small_jpeg(image: Frame) -> bytes:
    scale = min(1.0, _MOST_PIXELS / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return data.tobytes()


def faces_html(faces: FaceColumns, image: Frame | None, text: str, source: str | None) -> str:
    """What a notebook shows of faces: the drawing, at most 800 pixels large, and a table of the first 20."""
    caption = html.escape(text if source is None else f"{source}: {text}")
    parts = [f"<div><div>{caption}</div>"]
    if image is not None:
        # In the size in which it is shown, so that labels can be read.
        scale = max(1.0, max(image.shape[:2]) / _MOST_PIXELS)
        data = base64.b64encode(_small_jpeg(draw_faces(image, faces, scale))).decode()
        parts.append(f'<img alt="{caption}" src="data:image/jpeg;base64,{data}">')
    if len(faces):
        parts.append(_table(faces))
    return "".join([*parts, "</div>"])


def _table(faces: FaceColumns) -> str:
    rows = []
    for row in range(min(len(faces), _MOST_ROWS)):
        face = face_at(faces, row)
        left, top, right, bottom = face.box
        interval = "" if face.age_interval is None else shown_interval(face.age_interval)
        gender = "" if face.p_male is None else f"{shown_gender(face.p_male)} {max(face.p_male, 1 - face.p_male):.0%}"
        values = {
            "face": str(row),
            "age": "" if face.age is None else str(shown_age(face.age)),
            "90 %": interval,
            "gender": gender,
            "quality": "" if face.quality is None else f"{face.quality:.2f}",
            "box": f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}",
        }
        rows.append(values)
    names = [name for name in rows[0] if any(values[name] for values in rows)]
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{values[name]}</td>" for name in names) + "</tr>" for values in rows)
    rest = f"<div>and {len(faces) - _MOST_ROWS} more</div>" if len(faces) > _MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"
