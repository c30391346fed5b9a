"""Traits of a store's faces that may make them hard: size, sharpness, detector's score and turn of the head."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.quality import frontality
from agegender_train.store import Store

_BORDER = 0.2


def store_traits(store: Store, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    """Columns of some of a store's faces, (n,) each.

    Returns:
        face: int16, its number among those of its picture;
        box_from: object, "detected" or "known" (the dataset's own box);
        score: float64, of the detector; NaN where there is none;
        size: float64, the shorter side of the face's box in pixels of the picture; NaN where there is no box;
        turn: float64, 1 - `frontality`: 0 with the nose in the middle between the eyes, 1 with the nose below an eye's
        centre; NaN where there are no landmarks.
    """
    table = store.columns("face", "box_from", "score", "box", "landmarks").to_pydict()
    picked = {name: [column[row] for row in rows] for name, column in table.items()}
    box_from = np.empty(len(rows), np.object_)
    box_from[:] = picked["box_from"]
    box = _numbers(picked["box"], 4)
    return {
        "face": np.array([value or 0 for value in picked["face"]], np.int16),
        "box_from": box_from,
        "score": np.array([np.nan if value is None else value for value in picked["score"]], np.float64),
        "size": np.minimum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]),
        "turn": 1 - frontality(_numbers(picked["landmarks"], 10).reshape(-1, 5, 2)),
    }


def sharpness(chips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """How sharp each chip is: the standard deviation of the Laplacian of its middle, grey levels, float64 (n,).

    The usual measure of focus (Pech-Pacheco et al., ICPR 2000) is its square. The border is left out: where a chip
    reaches beyond its picture, the picture's edge would be the sharpest of all.

    Args:
        chips: uint8 RGB (n, S, S, 3).
    """
    border = int(chips.shape[1] * _BORDER)
    inner = slice(border, chips.shape[1] - border)
    greys = (cv2.cvtColor(chip[inner, inner], cv2.COLOR_RGB2GRAY) for chip in chips)
    return np.array([cv2.Laplacian(grey, cv2.CV_32F).std() for grey in greys], np.float64)


def _numbers(values: list[Any], width: int) -> npt.NDArray[np.float64]:
    missing = [np.nan] * width
    return np.array([missing if value is None else value for value in values], np.float64).reshape(-1, width)
