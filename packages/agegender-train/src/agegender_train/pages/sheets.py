"""Contact sheets: thumbnails of faces with their labels, and a sheet of them as one picture file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.plotting import drawable, our_style
from agegender_train.store import Store, decode_chip
from agegender_train.store.labels import Labels

_QUALITY = 82
_DPI = 100
_LINE = 11  # pixels


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a sheet.

    Attributes:
        key: the picture's name.
        jpeg: the picture, or empty.
        missing: why there is no picture, or empty.
    """

    key: str
    jpeg: bytes = b""
    missing: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a sheet.

    Attributes:
        pictures: one, or two that belong together.
        caption: the text below.
        is_labelled: whether the caption is enough without the picture's name.
    """

    pictures: tuple[Thumbnail, ...]
    caption: str
    is_labelled: bool = False


@dataclass(frozen=True)
class Sheet:
    """A contact sheet.

    Attributes:
        title: its heading.
        cells: the pictures, in order.
        total: how many entries there are.
        of: how many cells the shown ones are a sample of; two copies that name each other make one cell.
        has_pictures: false where the pictures aren't available and only names can be shown.
    """

    title: str
    cells: list[Cell] = field(default_factory=list)
    total: int = 0
    of: int = 0
    has_pictures: bool = True


def sample(names: Sequence[str], most: int) -> list[int]:
    """A random sample of n rows in random order; the same for the same names on every machine."""
    return sorted(range(len(names)), key=lambda row: (blake2b(_bytes(names[row]), digest_size=8).digest(), row))[:most]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def stored_thumbnails(store: Store | None, labels: Labels, rows: Iterable[int], side: int) -> dict[int, Thumbnail]:
    """Some of a store's faces, small, by their rows; `labels` are the store's."""
    wanted, found = set(rows), {}
    for row, data in enumerate(store.iter_encoded() if wanted and store is not None else ()):
        if row in wanted:
            found[row] = thumbnail(str(labels.key[row]), decode_chip(data), side)
            if len(found) == len(wanted):
                break
    return found


def label_text(labels: Labels, row: int) -> str:
    """The label of one face in a few characters.

    >>> unused = {"group": [""], "subject": [""], "split": [""], "key": [""]}
    >>> label_text(Labels.from_columns(age_low=[20], age_high=[29], gender=[0], **unused), 0)
    '20–29 f'
    """
    low, high = float(labels.age_low[row]), float(labels.age_high[row])
    age = "?" if low != low else f"{low:g}" if low == high else f"{low:g}–{high:g}"
    return f"{age} {('f', 'm', '?')[int(labels.gender[row])]}"


def thumbnail(key: str, frame: npt.NDArray[np.uint8], side: int) -> Thumbnail:
    """The picture with a longer side of at most `side` pixels."""
    height, width = frame.shape[:2]
    scale = min(side / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Thumbnail(key, bytes(data)) if done else Thumbnail(key, missing="can't be shown")


def draw_sheet(sheet: Sheet, columns: int, side: int) -> bytes:
    """The sheet as JPEG: pictures in rows, captions below them; equal sheets give equal bytes.

    Args:
        sheet: what to draw, with at least one cell.
        columns: cells in a row.
        side: of a picture's cell, in pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    per_cell = max(len(cell.pictures) for cell in sheet.cells)
    lines = max(len(_captions(cell, per_cell)) for cell in sheet.cells)
    width, height = side * per_cell + 6, side + 6 + _LINE * lines
    columns = max(min(columns // per_cell, len(sheet.cells)), 1)
    rows = -(-len(sheet.cells) // columns)
    top = 22
    with our_style():
        figure = Figure(figsize=(max(columns * width, 320) / _DPI, (top + rows * height) / _DPI), dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        title = f"{drawable(sheet.title, 60)}: {len(sheet.cells):,} shown, {sheet.total:,} in all"
        _write(figure, 4, 4, title, size=9)
        spots: list[tuple[Thumbnail, int, int]] = []
        for index, cell in enumerate(sheet.cells):
            x, y = index % columns * width + 3, top + index // columns * height
            spots += [(picture, x + place * side, y) for place, picture in enumerate(cell.pictures)]
            for line, text in enumerate(_captions(cell, per_cell)):
                _write(
                    figure,
                    x,
                    y + side + 1 + line * _LINE,
                    drawable(text, side * per_cell // 5),
                    size=8 if cell.is_labelled else 6,
                )
        for picture, x, y in spots:
            if picture.missing:
                _write(figure, x + 2, y + side // 2, drawable(picture.missing, side // 5), size=6)
        canvas.draw()
    page = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    for picture, x, y in spots:
        if picture.jpeg:
            _paste(page, picture.jpeg, x, y, side)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(page, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def _captions(cell: Cell, per_cell: int) -> list[str]:
    if per_cell == 1 and not cell.pictures[0].missing and cell.is_labelled:
        return [cell.caption]
    return [*(picture.key for picture in cell.pictures), *([cell.caption] if cell.caption else [])]


def _write(figure: Any, x: int, y: int, text: str, size: int) -> None:
    wide, high = figure.bbox.width, figure.bbox.height
    figure.text(x / wide, 1 - y / high, text, fontsize=size, va="top")


def _paste(page: Any, jpeg: bytes, x: int, y: int, side: int) -> None:
    picture = decode_chip(jpeg)
    scale = min(side / max(picture.shape[:2]), 1.0)
    if scale < 1:
        size = [max(int(edge * scale), 1) for edge in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    height, width = picture.shape[:2]
    page[y : y + height, x : x + width] = picture
