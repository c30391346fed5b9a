"""A contact sheet as one picture file."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from agegender_train.pages.drawing import drawable, our_style
from agegender_train.pages.thumbnails import Cell, Sheet, Thumbnail
from agegender_train.store import decode_chip

_DPI = 100
_LINE = 11  # pixels


def draw_sheet(sheet: Sheet, columns: int, side: int) -> bytes:
    """The sheet as JPEG: pictures in rows, captions below them; equal sheets give equal bytes.

    Args:
        sheet: what to draw, with at least one cell.
        columns: cells in a row.
        side: of a picture's place in pixels.
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
