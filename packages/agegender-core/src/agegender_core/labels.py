"""Labels in frames: a line of text on a rounded background, as masks that are blended in, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from . import _core
from .frames import Frame

Mask: TypeAlias = npt.NDArray[np.uint8]
Color: TypeAlias = tuple[int, int, int]
PixelBox: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, half-open."""

# OpenCV's own smoothing is poor at these sizes: text is drawn four times as large and averaged down.
_OVERSAMPLING = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class LabelMasks(NamedTuple):
    """Masks of a label, 0..255: its background and its text, of one size, and an edge, a pixel wider on each side."""

    background: Mask
    text: Mask
    edge: Mask


@lru_cache(maxsize=1)
def _digit_height() -> float:
    # Measured, since OpenCV 5 puts another font behind the same name.
    canvas = np.zeros((200, 200), np.uint8)
    cv2.putText(canvas, "0", (50, 150), _FONT, 4.0, 255, 1, cv2.LINE_AA)
    rows = np.flatnonzero(canvas.max(axis=1))
    return float(rows[-1] - rows[0]) / 4.0


@lru_cache(maxsize=256)
def label_masks(text: str, height: int) -> LabelMasks:
    """The masks of a label whose digits are `height` pixels tall. Cached: don't write into them."""
    large = height * _OVERSAMPLING
    scale, stroke = large / _digit_height(), max(1, round(0.13 * large))
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, stroke)
    canvas = np.zeros((3 * large, width + 2 * large), np.uint8)
    cv2.putText(canvas, text, (large, 2 * large), _FONT, scale, 255, stroke, cv2.LINE_AA)
    columns = np.flatnonzero(canvas.max(axis=0))
    first, last = (int(columns[0]), int(columns[-1])) if len(columns) else (large, large)
    across, above = round(0.7 * height), round(0.55 * height)
    size = (-(-(last - first + 1) // _OVERSAMPLING) + 2 * across, height + 2 * above)
    text_mask = np.zeros((size[1] * _OVERSAMPLING, size[0] * _OVERSAMPLING), np.uint8)
    top, left = large - above * _OVERSAMPLING, first - across * _OVERSAMPLING
    part = canvas[max(top, 0) : max(top, 0) + text_mask.shape[0], max(left, 0) : last + 1]
    down, right = max(-top, 0), max(-left, 0)
    text_mask[down : down + part.shape[0], right : right + part.shape[1]] = part
    shape = cv2.resize(text_mask, size, interpolation=cv2.INTER_AREA)
    radius = round(0.45 * height)
    edge = _rounded((size[0] + 2, size[1] + 2), radius + 1)
    return LabelMasks(_rounded(size, radius), np.asarray(shape, np.uint8), edge)


def _rounded(size: tuple[int, int], radius: int) -> Mask:
    width, height, radius = (_OVERSAMPLING * value for value in (*size, radius))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [rounded_outline((0, 0, width - 1, height - 1), radius)], 255)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


def rounded_outline(box: Sequence[float], radius: float, scale: int = 1) -> npt.NDArray[np.int32]:
    """The corners of a polygon around a box with round corners, int32 (n, 2), in 1/`scale` pixels."""
    left, top, right, bottom = box
    quarter = np.linspace(0.0, np.pi / 2, 9)
    arc = np.stack([np.cos(quarter), np.sin(quarter)], axis=1) * radius
    centres = [
        (right - radius, bottom - radius, (1, 1)),
        (left + radius, bottom - radius, (-1, 1)),
        (left + radius, top + radius, (-1, -1)),
        (right - radius, top + radius, (1, -1)),
    ]
    # Every second arc runs backwards, so that the polygon goes round once.
    corners = [(arc if place % 2 == 0 else arc[::-1]) * signs + (x, y) for place, (x, y, signs) in enumerate(centres)]
    return np.round(np.concatenate(corners) * scale).astype(np.int32)


def blend(frame: Frame, mask: Mask, corner: tuple[int, int], color: Color, opacity: float = 1.0) -> None:
    """Paint `color` into `frame` through `mask`, its top left at `corner` (x, y); what lies outside is left out."""
    _core.blend(frame, mask, corner, color, opacity)


def place(
    face: PixelBox,
    size: tuple[int, int],
    gap: int,
    frame_size: tuple[int, int],
    labels: Sequence[PixelBox],
    faces: Sequence[PixelBox],
) -> PixelBox:
    """Where a label of `size` (width, height) goes beside `face`: above it if that is free, else where it hides least.

    Args:
        face: its box in whole pixels.
        size: of the label.
        gap: pixels between face and label.
        frame_size: width and height; the label stays inside wherever it fits.
        labels: those already placed; hiding one is worst.
        faces: the other faces; a little of them may be hidden, since that is better than a label that jumps from frame
            to frame.
    """
    left, top, right, bottom = face
    width, height = size
    above, below = top - gap - height, bottom + gap
    spots = [
        (left, above), (right - width, above), (left, below), (right - width, below),
        (right + gap, top), (left - gap - width, top), (left, above - height - gap), (left, below + height + gap),
    ]  # fmt: skip
    best: tuple[float, PixelBox] | None = None
    for x, y in spots:
        x, y = max(0, min(x, frame_size[0] - width)), max(0, min(y, frame_size[1] - height))
        area = (x, y, x + width, y + height)
        hidden = sum(_overlap(area, other) for other in faces) + 0.5 * _overlap(area, face)
        allowed = 0.0 if hidden < 0.15 * width * height else hidden
        cost = allowed + 3.0 * sum(_overlap(area, other) for other in labels)
        if best is None or cost < best[0]:
            best = (cost, area)
    assert best is not None
    return best[1]


def _overlap(a: PixelBox, b: PixelBox) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
