"""Chips as the store keeps them: JPEG."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def encode_chip(chip: npt.NDArray[np.uint8]) -> bytes:
    """A chip, uint8 (S, S, 3) RGB, as a JPEG of quality 95 with colour at full resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"chip of shape {chip.shape} can't be encoded")
    return bytes(data)


def decode_chip(data: bytes) -> npt.NDArray[np.uint8]:
    """The chip of `encode_chip`: uint8 (S, S, 3) RGB.

    Raises:
        ValueError: `data` is no JPEG.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise ValueError("a picture of the store can't be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
