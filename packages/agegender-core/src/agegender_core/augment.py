"""Chips to network input with changes on the way: the faces of a training, by the C++ that `preprocess` has, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .native import native
from .spec import PreprocessSpec

Chip = npt.NDArray[np.uint8]
Changes = npt.NDArray[np.void]

CHANGE = np.dtype(
    [
        ("warp", np.float32, (2, 3)),
        ("detail", np.float32),
        ("colours", np.float32, (3, 4)),
        ("covered", np.float32, (4,)),
        ("cover", np.float32, (3,)),
        ("kept", np.float32, (4,)),
        ("surroundings", np.float32, (3,)),
    ]
)
"""What is changed in a chip, in this order; see `no_changes` for what leaves it as it is.

Positions are parts of the chip's side, 0 at its left and top edges and 1 at its right and bottom edges; rectangles are
left, top, right, bottom; colours are RGB in grey levels 0..255.

- `warp`: from x, y and 1 in the new chip to x and y in the stored one. Beyond its edges a chip is continued by its
  mirror image.
- `detail`: in (0, 1], as of a chip that has so much of the pixels along each side.
- `colours`: from red, green, blue and 1 to red, green and blue, held in 0..255.
- `covered`, `cover`: a rectangle of one colour over the face; an empty one for none.
- `kept`, `surroundings`: a rectangle outside of which everything is of one colour, or another chip's.
"""


def no_changes(count: int) -> Changes:
    """What leaves `count` chips as they are: (count,) of `CHANGE`, to set some fields of."""
    changes = np.zeros(count, CHANGE)
    changes["warp"] = np.eye(2, 3)
    changes["colours"] = np.eye(3, 4)
    changes["detail"] = 1
    changes["kept"] = 0, 0, 1, 1
    return changes


def augment(
    chips: Sequence[Chip] | Chip,
    changes: Changes,
    spec: PreprocessSpec,
    others: Sequence[Chip | None] | None = None,
    threads: int = 1,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Change chips and make a network's input of them in one pass, in C++ without the GIL.

    A pixel of the input is the mean of the stored chip over a square about the position that it comes from, as wide as
    a pixel of the input is there, but not less than a pixel of the chip. That is how `preprocess` resizes: it averages
    where the chip is larger and is bilinear where it is smaller. So a face in training is as sharp as one in use,
    wherever it is shifted to; to warp the chip first and then to average it, or the reverse, blurs twice. Without
    changes the result is that of `preprocess`, apart from rounding in float32.

    Args:
        chips: n chips, uint8 RGB (S, S, 3) each, C-contiguous, with S = ``spec.chip_size``.
        changes: (n,) of `CHANGE`.
        spec: what the network wants.
        others: for each chip the one whose middle, two times enlarged, is around its `kept` part; ``None`` for the
            colour `surroundings`.
        threads: that share the chips; the result doesn't depend on how many.
        out: written to and returned, if given: float32, C-contiguous, the shape below.

    Returns:
        float32 (n, s, s, 3), or (n, 3, s, s) for the layout "nchw", with s = ``spec.input_size``.

    Raises:
        ValueError: an array of another shape or dtype, or a change that is out of its range.
    """
    first, size = spec.layout == "nchw", spec.input_size
    shape = (len(chips), 3, size, size) if first else (len(chips), size, size, 3)
    if out is None:
        out = np.empty(shape, np.float32)
    elif out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if changes.dtype != CHANGE or changes.shape != (len(chips),):
        raise ValueError(f"changes must be of CHANGE, of shape ({len(chips)},), got {changes.dtype} of {changes.shape}")
    numbers = np.ascontiguousarray(changes).view(np.float32).reshape(len(chips), CHANGE.itemsize // 4)
    beside: list[Any] = [None] * len(chips) if others is None else list(others)
    settings = spec.crop, spec.mean, spec.scale, spec.color == "bgr", first
    native().augment(list(chips), numbers, beside, out, spec.chip_size, *settings, threads)
    return out
