"""Boxes as arrays, and how far they overlap.

A box is left, top, right, bottom in pixels, half-open: its width is right - left. dlib's rectangles, which hold their
last pixel, become boxes in the C++ core (``cpp/src/rectangle.hpp``); no other code meets them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import _core


def as_boxes(boxes: npt.ArrayLike, name: str = "boxes") -> npt.NDArray[np.float64]:
    """`boxes` as float64 (n, 4) or (n, 5), C-contiguous; ``[]`` stands for none.

    Raises:
        ValueError: another shape or dtype; the message calls the argument `name`.
    """
    try:
        array = np.asarray(boxes)
    except ValueError:
        raise ValueError(f"{name} must have shape (n, 4) or (n, 5), got rows of different lengths") from None
    if array.shape == (0,):  # a plain []
        array = np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise ValueError(f"{name} must have shape (n, 4) or (n, 5), got {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float64)


def iou(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union of each box of `a` with each of `b`.

    Args:
        a: real numbers of shape (n, 4): left, top, right, bottom in one unit; a fifth column is not read.
        b: the same of shape (m, 4).

    Returns:
        float64 (n, m), in [0, 1]; 0 where the boxes share no area, or one has none.

    Raises:
        ValueError: another shape or dtype, or a number that is not finite: the overlap of a missing box is for the
            caller to decide.

    >>> iou([[0, 0, 10, 10]], [[5, 0, 15, 10], [20, 20, 30, 30]]).round(3)
    array([[0.333, 0.   ]])
    """
    return _core.iou(as_boxes(a, "a"), as_boxes(b, "b"))
