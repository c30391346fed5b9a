"""Perceptual hashes: pictures that look the same have nearly the same hash."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_SIDE = 32
_LOW = 8


def perceptual_hash(chip: npt.NDArray[np.uint8]) -> int:
    """64 bits that tell which of a chip's 8 x 8 lowest frequencies lie above their median.

    The "pHash" of Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010) of the grey chip,
    reduced to 32 x 32 pixels: recompression, resizing and a change of brightness turn few bits.

    Args:
        chip: uint8 (S, S, 3), RGB.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low: npt.NDArray[Any] = cv2.dct(small)[:_LOW, :_LOW].ravel()
    bits = low > np.median(low[1:])  # the first is the brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Number of bits in which hashes differ: uint8 in 0..64, of the arrays' common shape."""
    return np.bitwise_count(np.bitwise_xor(a, b))
