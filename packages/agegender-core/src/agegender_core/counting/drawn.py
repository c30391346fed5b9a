"""Lines and zones drawn into frames, with their counts."""

from __future__ import annotations

import math

import cv2
import numpy as np

from agegender_core.frames import Frame, as_frame
from agegender_core.labels import Color, blend, label_masks

from .counter import Counter, Totals
from .regions import Line, Zone

_DARK: Color = (16, 20, 24)
_LIGHT: Color = (255, 255, 255)


def draw_regions(frame: Frame, counter: Counter) -> Frame:
    """A copy of `frame` with the lines and zones that are counted at, and their counts.

    An arrow at the middle of a line says which way is in.

    Args:
        frame: uint8 RGB (H, W, 3).
        counter: has the lines, zones and counts.
    """
    drawn = as_frame(frame).copy()
    height, width = drawn.shape[:2]
    thickness = max(1, round(min(height, width) / 300))
    for zone in counter.zones:
        corners = np.array([(x * width, y * height) for x, y in zone.points])
        _outline(drawn, corners, True, thickness)
        _label(drawn, zone_text(zone, counter.totals[zone.name]), corners[corners.sum(axis=1).argmin()])
    for line in counter.lines:
        start, end = (np.array([x * width, y * height]) for x, y in line.points)
        _outline(drawn, np.stack([start, end]), False, thickness)
        tip = _arrow(drawn, start, end, 6.0 * thickness)
        _label(drawn, line_text(line, counter.totals[line.name]), tip)
    return drawn


def line_text(line: Line, totals: Totals) -> str:
    """A line's counts in words: "door  3 in  2 out"."""
    return f"{line.name}  {totals.kinds['in']} in  {totals.kinds['out']} out"


def zone_text(zone: Zone, totals: Totals) -> str:
    """A zone's counts in words: "shelf  1 now  7 in all"."""
    return f"{zone.name}  {totals.now} now  {totals.visits} in all"


def _outline(drawn: Frame, points: np.ndarray, closed: bool, thickness: int) -> None:
    whole = np.round(points).astype(np.int32)
    for color, wide in ((_DARK, thickness + 2), (_LIGHT, thickness)):
        cv2.polylines(drawn, [whole], closed, color, wide, cv2.LINE_AA)


def _arrow(drawn: Frame, start: np.ndarray, end: np.ndarray, size: float) -> np.ndarray:
    """A triangle at the middle of the line that points to its left, where in is; gives its tip."""
    middle, way = (start + end) / 2, (end - start) / math.dist(start, end)
    left = np.array([way[1], -way[0]])
    tip = np.asarray(middle + size * left)
    corners = np.round([middle - 0.6 * size * way, middle + 0.6 * size * way, tip]).astype(np.int32)
    cv2.fillPoly(drawn, [corners], _LIGHT, cv2.LINE_AA)
    cv2.polylines(drawn, [corners], True, _DARK, 1, cv2.LINE_AA)
    return tip


def _label(drawn: Frame, text: str, at: np.ndarray) -> None:
    height, width = drawn.shape[:2]
    masks = label_masks(text, max(5, round(min(max(0.016 * height, 8.0), 16.0))))
    tall, wide = masks.background.shape
    # Beside the point, and inside the frame wherever it fits.
    x = max(0, min(round(float(at[0])) + 6, width - wide))
    y = max(0, min(round(float(at[1])) + 6, height - tall))
    blend(drawn, masks.edge, (x - 1, y - 1), _LIGHT, 0.35)
    blend(drawn, masks.background, (x, y), _DARK, 0.85)
    blend(drawn, masks.text, (x, y), _LIGHT)
