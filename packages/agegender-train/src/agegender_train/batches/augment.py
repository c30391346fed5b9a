"""Seeded changes of chips in training: what a face may look like without another age or gender."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from agegender_train.batches.augmentation import Augmentation

_GREY = np.full((3, 3), 1 / 3, np.float32) @ np.diag([0.9, 1.75, 0.35]).astype(np.float32)
"""Every channel becomes the luma 0.3 R + 0.58 G + 0.12 B."""


def augment(
    chips: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8],
    augmentation: Augmentation,
    rng: np.random.Generator,
    out: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """Change each chip as `augmentation` says.

    Args:
        chips: n chips, uint8 (S, S, 3) each, RGB; at least one.
        augmentation: how far.
        rng: the only source of randomness: an equal state gives equal chips.
        out: written to and returned, if given: uint8 (n, S, S, 3), C-contiguous, no part of `chips`.

    Returns:
        uint8 (n, S, S, 3).
    """
    size = len(chips[0])
    if out is None:
        out = np.empty((len(chips), size, size, 3), np.uint8)
    for number, (chip, to) in enumerate(zip(chips, out, strict=True)):
        warp = _warp(size, augmentation, rng)
        cv2.warpAffine(chip, warp, (size, size), dst=to, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        cv2.transform(to, _colours(augmentation, rng), dst=to)
        shrink = rng.uniform(1, augmentation.shrink)
        if rng.random() < augmentation.blur:
            small = cv2.resize(to, (round(size / shrink),) * 2, interpolation=cv2.INTER_AREA)
            cv2.resize(small, (size, size), dst=to, interpolation=cv2.INTER_LINEAR)
        corner, extent, colour = rng.random(2), rng.uniform(0.1, 0.35, 2), rng.integers(0, 256, 3)
        if rng.random() < augmentation.occlusion:
            start = corner * (1 - extent)
            (top, left), (bottom, right) = (size * np.stack([start, start + extent])).astype(int)
            to[top:bottom, left:right] = colour
        if rng.random() < augmentation.surroundings:
            _surround(to, chips[number - 1], augmentation.inset, rng)
    return out


def _surround(
    chip: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], inset: float, rng: np.random.Generator
) -> None:
    """Puts something else outside a rectangle of `chip`: black, one colour, or the middle of `other`, enlarged."""
    size = len(chip)
    quarter = size // 4
    left, top, right, bottom = (size * rng.uniform(0, inset, 4)).astype(int)
    inner = chip[top : size - bottom, left : size - right].copy()
    kind, colour = rng.integers(3), rng.integers(0, 256, 3)
    if kind == 2:  # the edges of chips are black themselves
        middle = np.ascontiguousarray(other[quarter : size - quarter, quarter : size - quarter])
        cv2.resize(middle, (size, size), dst=chip, interpolation=cv2.INTER_LINEAR)
    else:
        chip[:] = colour * kind
    chip[top : size - bottom, left : size - right] = inner


def _warp(size: int, augmentation: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The 2x3 matrix of a mirroring, turn, scaling and shift about the centre of the chip."""
    centre = (size - 1) / 2
    turn = rng.uniform(-augmentation.rotation, augmentation.rotation)
    scale = 1 + rng.uniform(-augmentation.scale, augmentation.scale)
    matrix: npt.NDArray[np.float64] = np.asarray(cv2.getRotationMatrix2D((centre, centre), turn, scale), np.float64)
    matrix[:, 2] += rng.uniform(-augmentation.shift, augmentation.shift, 2) * size
    if rng.random() < augmentation.flip:
        matrix[:, 2] += matrix[:, 0] * (size - 1)
        matrix[:, 0] *= -1
    return matrix


def _colours(augmentation: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The 3x4 matrix from colours to colours; contrast turns about middle grey."""
    saturation = 1 + rng.uniform(-augmentation.saturation, augmentation.saturation)
    if rng.random() < augmentation.grey:
        saturation = 0.0
    contrast = 1 + rng.uniform(-augmentation.contrast, augmentation.contrast)
    gain = contrast * (1 + rng.uniform(-augmentation.tint, augmentation.tint, 3))
    linear = gain[:, None] * (saturation * np.eye(3) + (1 - saturation) * _GREY)
    offset = 127.5 * (1 - contrast) + 255 * rng.uniform(-augmentation.brightness, augmentation.brightness)
    return np.column_stack([linear, np.full(3, offset)]).astype(np.float32)
