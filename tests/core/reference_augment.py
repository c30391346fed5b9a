"""`agegender_core.augment.augment` in plain NumPy, in double precision: what it says, and slow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agegender_core import PreprocessSpec
from agegender_core.augment import Changes

Picture = npt.NDArray[np.float64]


def mirrored(positions: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The pixels that continue a picture of `size` pixels by its mirror image."""
    around = positions % (2 * size)
    return np.where(around < size, around, 2 * size - 1 - around)


def means(picture: Picture, x: Picture, y: Picture, side: float) -> Picture:
    """The means over squares with such middles; pixel i of a picture reaches from i to i + 1."""
    total = np.zeros((*x.shape, picture.shape[2]))
    left, top = x - side / 2, y - side / 2
    for down in range(int(np.ceil(side)) + 1):
        row = np.floor(top).astype(int) + down
        height = np.clip(np.minimum(top + side, row + 1) - np.maximum(top, row), 0, 1)
        for across in range(int(np.ceil(side)) + 1):
            column = np.floor(left).astype(int) + across
            width = np.clip(np.minimum(left + side, column + 1) - np.maximum(left, column), 0, 1)
            pixels = picture[mirrored(row, len(picture)), mirrored(column, len(picture))]
            total += (height * width / side**2)[..., None] * pixels
    return total


def covered(edges: Picture, spec: PreprocessSpec) -> Picture:
    """How much of each pixel of the input is inside a rectangle: (s, s)."""
    left, top, right, bottom = (edges * spec.chip_size - spec.crop[0]) * spec.input_size / (spec.crop[2] - spec.crop[0])
    at = np.arange(spec.input_size)
    across = np.clip(np.minimum(right, at + 1) - np.maximum(left, at), 0, 1)
    down = np.clip(np.minimum(bottom, at + 1) - np.maximum(top, at), 0, 1)
    return np.outer(down, across)


def augmented(
    chip: npt.NDArray[np.uint8], change: Changes, spec: PreprocessSpec, other: npt.NDArray[np.uint8] | None = None
) -> Picture:
    """One chip: (s, s, 3), RGB in grey levels, before it is normalised."""
    change = {name: np.asarray(change[name], np.float64) for name in change.dtype.names or ()}  # type: ignore[assignment]
    side, size, start = spec.chip_size, spec.input_size, spec.crop[0]
    extent = spec.crop[2] - start

    left = max(int(np.floor(extent * change["detail"] + 0.5)), 1)
    pixels = left if change["detail"] < 1 and left < size else size
    at = start + (np.arange(pixels) + 0.5) * extent / pixels
    x, y = np.meshgrid(at, at)
    warp = change["warp"]
    zoom = np.sqrt(abs(np.linalg.det(warp[:, :2])))
    x, y = (row[0] * x + row[1] * y + row[2] * side for row in warp)
    face = means(chip.astype(float), x, y, max(1.0, extent / pixels * zoom))
    face = np.clip(face @ change["colours"][:, :3].T + change["colours"][:, 3], 0, 255)
    if pixels < size:
        at = np.clip((np.arange(size) + 0.5) * pixels / size, 0.5, pixels - 0.5)
        face = means(face, *np.meshgrid(at, at), 1.0)

    share = covered(change["covered"], spec)[..., None]
    if change["covered"][2] > change["covered"][0] and change["covered"][3] > change["covered"][1]:
        face = (1 - share) * face + share * np.clip(change["cover"], 0, 255)
    share = covered(change["kept"], spec)[..., None]
    if (change["kept"] != (0, 0, 1, 1)).any():
        around = np.clip(change["surroundings"], 0, 255)
        if other is not None:
            at = side / 4 + (start + (np.arange(size) + 0.5) * extent / size) / 2
            around = means(other.astype(float), *np.meshgrid(at, at), max(1.0, extent / size / 2))
        face = share * face + (1 - share) * around
    return face


def reference(
    chips: npt.NDArray[np.uint8],
    changes: Changes,
    spec: PreprocessSpec,
    others: list[npt.NDArray[np.uint8] | None],
) -> Picture:
    """All of them as the network gets them."""
    faces = np.stack(
        [augmented(chip, change, spec, other) for chip, change, other in zip(chips, changes, others, strict=True)]
    )
    if spec.color == "bgr":
        faces = faces[..., ::-1]
    faces = (faces - spec.mean) * spec.scale
    return faces.transpose(0, 3, 1, 2) if spec.layout == "nchw" else faces
