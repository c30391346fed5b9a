"""Arrays that people pass as pictures, checked and made into frames."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]
"""An image array: uint8 RGB, (H, W, 3), C-contiguous."""


def as_frame(image: Any, bgr: bool = False, grey: bool = False) -> Frame:
    """`image` as a frame: uint8 RGB (H, W, 3), C-contiguous. It is copied only where it has to be.

    Args:
        image: uint8 (H, W, 3) of any strides, such as a view ``picture[..., ::-1]``.
        bgr: its channels are blue, green, red, as ``cv2.imread`` and ``cv2.VideoCapture`` give them.
        grey: (H, W) is taken, too.

    Raises:
        ValueError: it is no array, or one of another dtype or shape; the message says how to make it fit.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be a NumPy array, got {type(image).__name__}: pass numpy.asarray(image)")
    if image.dtype != np.uint8:
        hint = "" if image.dtype.kind != "f" else ": pass (255 * image).round().astype(numpy.uint8) if it is in 0..1"
        raise ValueError(f"image must be uint8 (H, W, 3) RGB, got dtype {image.dtype}{hint}")
    if not (image.ndim == 3 and image.shape[2] == 3) and not (grey and image.ndim == 2):
        raise ValueError(f"image must be uint8 (H, W, 3) RGB, got shape {image.shape}{_how(image)}")
    if image.size == 0:
        raise ValueError(f"image must have pixels, got shape {image.shape}")
    return contiguous(image[..., ::-1] if bgr and image.ndim == 3 else image)


def contiguous(view: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As ``numpy.ascontiguousarray``, and many times as fast for a picture that is mirrored, turned, BGR or planar.

    NumPy copies such a view byte by byte; OpenCV has a loop of its own for each.

    Args:
        view: of any strides. It is copied only where it has to be.
    """
    if view.ndim != 3 or view.shape[2] != 3 or view.dtype != np.uint8 or view.flags.c_contiguous:
        return np.ascontiguousarray(view)
    steps = view.strides
    down, across, channels = (step < 0 for step in steps)
    plain = view[:: -1 if down else 1, :: -1 if across else 1, :: -1 if channels else 1]
    if abs(steps[2]) > max(abs(steps[0]), abs(steps[1])):
        plain = cv2.merge([np.ascontiguousarray(plain[..., channel]) for channel in range(3)])
    elif abs(steps[0]) < abs(steps[1]):  # columns lie one after the other, rather than rows
        plain = cv2.transpose(np.ascontiguousarray(plain.transpose(1, 0, 2)))
    plain = np.ascontiguousarray(plain)
    if down or across:
        plain = cv2.flip(plain, -1 if down and across else int(across))
    return np.asarray(cv2.cvtColor(plain, cv2.COLOR_BGR2RGB) if channels else plain)


def _how(image: Frame) -> str:
    if image.ndim == 1:
        return ": pass a file's bytes to decode_image, or give raw pixels their shape with reshape(height, width, 3)"
    if image.ndim == 2:
        return ": pass numpy.repeat(image[..., None], 3, axis=2) if it is grey"
    if image.ndim == 3 and image.shape[2] == 4:
        return ": pass image[..., :3] if the fourth channel is alpha"
    if image.ndim == 3 and image.shape[2] == 1:
        return ": pass numpy.repeat(image, 3, axis=2) if it is grey"
    if image.ndim == 3 and image.shape[0] == 3:
        return ": pass image.transpose(1, 2, 0) if the channels come first"
    return ""
