"""Faces drawn into frames: boxes, track ids, genders and ages."""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np

from .columns import FaceColumns
from .frames import Frame, as_frame, contiguous
from .labels import Color, PixelBox, blend, label_masks, place, rounded_outline
from .records import UNREADABLE, shown_age, shown_gender

PALETTE: tuple[Color, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
)
"""Okabe and Ito's colours, which stay apart for colour-blind eyes too: RGB. Track n has colour n modulo 7."""

NEUTRAL: Color = (235, 235, 235)
"""The colour of a face without a track."""

_DARK: Color = (16, 20, 24)
_LIGHT: Color = (255, 255, 255)
_SUBPIXEL_BITS = 4
# Faces of a lower quality are drawn paler the lower it is, and below UNREADABLE without a text that means nothing.
_CLEAR, _PALEST = 0.6, 0.35
Box: TypeAlias = tuple[float, float, float, float]


def label_of(faces: FaceColumns, row: int) -> str:
    """The text at a face, such as "#3  female 34": only what is known, an unsure gender with a question mark."""
    parts = []
    track_id = track_of(faces, row)
    if track_id >= 0:
        parts.append(f"#{track_id}")
    values: list[str] = []
    if faces.p_male is not None and math.isfinite(faces.p_male[row]):
        values.append(shown_gender(float(faces.p_male[row])))
    if faces.age is not None and math.isfinite(faces.age[row]):
        values.append(f"{shown_age(float(faces.age[row]))}")
    return "  ".join([*parts, " ".join(values)]) if values else "".join(parts)


def track_of(faces: FaceColumns, row: int) -> int:
    """The face's track, -1 for none."""
    return -1 if faces.track_id is None else int(faces.track_id[row])


def color_of(track_id: int) -> Color:
    """A track's colour, the same in every frame."""
    return PALETTE[(track_id - 1) % len(PALETTE)] if track_id >= 0 else NEUTRAL


def draw_faces(frame: Frame, faces: FaceColumns, scale: float = 1.0, *, bgr: bool = False) -> Frame:
    """A copy of `frame` with its faces drawn in; sizes follow the frame and the face.

    Args:
        frame: uint8 RGB (H, W, 3).
        faces: boxes, and what is known of them: track_id, p_male, age; those of a quality below 0.6 are drawn paler,
            and below 0.3 without a text.
        scale: makes text and lines larger or smaller; > 0.
        bgr: the frame's channels are blue, green, red, as OpenCV has them; so are those of what is returned.

    Returns:
        uint8 RGB (H, W, 3), or BGR with `bgr`.

    Raises:
        ValueError: `scale` is not above 0, or the frame has another dtype or shape.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    drawn = as_frame(frame, bgr).copy()
    boxes = {row: _clipped(faces, row) for row in range(len(faces)) if np.isfinite(faces.xyxy[row]).all()}
    for row, box in boxes.items():
        _draw_box(drawn, box, color_of(track_of(faces, row)), scale, _opacity(faces, row))
    pixels: dict[int, PixelBox] = {
        row: (int(box[0]), int(box[1]), math.ceil(box[2]), math.ceil(box[3])) for row, box in boxes.items()
    }
    labels: list[PixelBox] = []
    # By track, not by row, so that the same labels give way in every frame.
    for row in sorted(pixels, key=lambda row: (track_of(faces, row), row)):
        readable = faces.quality is None or not faces.quality[row] < UNREADABLE
        if readable and (text := label_of(faces, row)):
            others = [face for other, face in pixels.items() if other != row]
            color = color_of(track_of(faces, row))
            labels.append(_draw_label(drawn, pixels[row], text, color, scale, labels, others, _opacity(faces, row)))
    return contiguous(drawn[..., ::-1]) if bgr else drawn


def _opacity(faces: FaceColumns, row: int) -> float:
    if faces.quality is None or not math.isfinite(faces.quality[row]):
        return 1.0
    return _PALEST + (1 - _PALEST) * min(1.0, float(faces.quality[row]) / _CLEAR)


def _clipped(faces: FaceColumns, row: int) -> Box:
    # Far outside, OpenCV's fixed-point coordinates would overflow.
    left, top, right, bottom = (float(edge) for edge in np.clip(faces.xyxy[row], -20_000, 20_000))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _line(drawn: Frame, side: float, scale: float) -> int:
    fitting = min(side / 45.0, min(drawn.shape[:2]) / 300.0)
    return max(1, int(max(fitting, 1.3) * scale + 0.5))


def _draw_box(drawn: Frame, box: Box, color: Color, scale: float, opacity: float) -> None:
    side = min(box[2] - box[0], box[3] - box[1])
    line = _line(drawn, side, scale)
    margin = line + 4
    # Only the part inside the frame is drawn, whatever the size of the box.
    height, width = drawn.shape[:2]
    x0, y0 = max(math.floor(box[0]) - margin, 0), max(math.floor(box[1]) - margin, 0)
    x1, y1 = min(math.ceil(box[2]) + margin, width), min(math.ceil(box[3]) + margin, height)
    if x1 <= x0 or y1 <= y0:
        return
    shifted = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
    outline = rounded_outline(shifted, 0.1 * side, 1 << _SUBPIXEL_BITS)
    for color_now, thickness, share in ((_DARK, line + 2, 0.35), (color, line, 1.0)):
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.polylines(mask, [outline], True, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        blend(drawn, mask, (x0, y0), color_now, share * opacity)


def _draw_label(
    drawn: Frame,
    box: PixelBox,
    text: str,
    color: Color,
    scale: float,
    labels: list[PixelBox],
    faces: list[PixelBox],
    opacity: float,
) -> PixelBox:
    height, width = drawn.shape[:2]
    side = min(box[2] - box[0], box[3] - box[1])
    least = min(max(0.011 * height, 8.0), 13.0)
    tall = min(max(0.13 * side, least), max(0.024 * height, least))
    masks = label_masks(text, max(5, round(tall * scale)))
    gap = _line(drawn, side, scale) + 1
    area = place(box, (masks.background.shape[1], masks.background.shape[0]), gap, (width, height), labels, faces)
    blend(drawn, masks.edge, (area[0] - 1, area[1] - 1), _DARK, 0.35 * opacity)
    blend(drawn, masks.background, area[:2], color, 0.92 * opacity)
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    blend(drawn, masks.text, area[:2], _DARK if luminance > 125 else _LIGHT, opacity)
    return area
