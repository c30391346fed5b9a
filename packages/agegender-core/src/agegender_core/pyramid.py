"""Where a detector that knows faces of some sizes only looks for faces of all sizes: levels of a pyramid, in tiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# A face that is large in one level is small in the next, where all of it fits into the overlap of two tiles.
_STEP = 4
_COARSEST, _SINGLE = 320, 512
_TILE, _TILE_OVERLAP = 1280, 256
_NESTED = 0.7


@dataclass(frozen=True)
class Tile:
    """A part of a level, in the level's pixels; half-open.

    Attributes:
        box: left, top, right, bottom of what the detector gets.
        core: left, top, right, bottom of what it answers for: a face belongs to the tile whose core holds its middle.
    """

    box: tuple[int, int, int, int]
    core: tuple[float, float, float, float]


@dataclass(frozen=True)
class Level:
    """The frame at one scale.

    Attributes:
        scale: pixels of the level for one of the frame.
        size: width and height in pixels.
    """

    scale: float
    size: tuple[int, int]

    def tiles(self) -> Iterator[Tile]:
        """Tiles that overlap and whose cores cover the level without overlap."""
        columns, rows = (list(_spans(side)) for side in self.size)
        for (top, bottom), (core_top, core_bottom) in rows:
            for (left, right), (core_left, core_right) in columns:
                yield Tile((left, top, right, bottom), (core_left, core_top, core_right, core_bottom))


def levels(width: int, height: int, scale: float) -> list[Level]:
    """The levels of a frame of `width` x `height` pixels, the finest, of that scale, first.

    Each next one is a quarter as large, down to about 320 pixels for the longer side, so that a face that fills the
    frame is small enough in the last.
    """
    longer = max(width, height)
    sides = [longer * scale]
    while sides[-1] > _SINGLE:
        sides.append(max(_COARSEST, sides[-1] / _STEP))
    scales = [side / longer for side in sides]
    return [Level(each, (max(1, round(width * each)), max(1, round(height * each)))) for each in scales]


def _spans(side: int) -> Iterator[tuple[tuple[int, int], tuple[float, float]]]:
    count = 1 if side <= _TILE else math.ceil((side - _TILE_OVERLAP) / (_TILE - _TILE_OVERLAP))
    length = side if count == 1 else math.ceil((side + (count - 1) * _TILE_OVERLAP) / count)
    starts = [round(number * (side - length) / max(count - 1, 1)) for number in range(count)]
    edges = [
        -math.inf,
        *((start + length + after) / 2 for start, after in itertools.pairwise(starts)),
        math.inf,
    ]
    for start, core in zip(starts, itertools.pairwise(edges), strict=True):
        yield (start, start + length), core


def in_core(boxes: Floats, tile: Tile) -> npt.NDArray[np.bool_]:
    """Which of the boxes (n, 4), in the level's pixels, have their middle in the tile's core."""
    left, top, right, bottom = tile.core
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return np.asarray((x >= left) & (x < right) & (y >= top) & (y < bottom))


def best_of_overlapping(boxes: Floats, scores: Floats, iou: float) -> npt.NDArray[np.intp]:
    """Rows that stay where several levels found the same face, best score first.

    Of two boxes the one with the better score stays if their IoU is above `iou`, or if the smaller lies in the other
    by 70 %: a fine level takes parts of a large face for faces.

    Args:
        boxes: float32 (n, 4): left, top, right, bottom.
        scores: float32 (n,).
        iou: in [0, 1].
    """
    area = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        size = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
        shared = size.clip(0).prod(axis=1)
        smaller = np.minimum(area[left], area[best])
        left = left[(shared <= iou * (area[left] + area[best] - shared)) & (shared <= _NESTED * smaller)]
    return np.asarray(kept, np.intp)
