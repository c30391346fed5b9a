"""Seeded changes of chips in training: what a face may look like without another age or gender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agegender_core.augment import Changes, no_changes
from agegender_train.batches.augmentation import Augmentation

_GREY = np.array([0.3, 1.75 / 3, 0.35 / 3])
"""Red, green and blue of a colour's luma."""

_IN_EPOCH, _IN_VIEW, _CHOICE = 1, 2, 3
"""What random numbers are for: each has a sequence of its own. None is 0, which a seed may as well not hold."""

_NUMBERS = 64
"""So many random numbers a face has at most; its place in the sequence is a multiple of it."""


def uniforms(seed: Sequence[int], rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Random numbers of faces, each face's own whatever others are asked for with it.

    They are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014),
    which can start anywhere in its sequence: a face has the 64 from 64 times its row on.

    Args:
        seed: whole numbers, not negative.
        rows: n rows of faces.
        count: how many for each; at most 64.

    Returns:
        float64 (count, n), in [0, 1).
    """
    (start,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    state: npt.NDArray[np.uint64]
    places = rows.astype(np.uint64) * np.uint64(_NUMBERS) + np.arange(1, count + 1, dtype=np.uint64)[:, None]
    state = start + places * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def changes_in_epoch(
    augmentation: Augmentation, seed: int, epoch: int, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
) -> tuple[Changes, npt.NDArray[np.int64]]:
    """How faces are changed in an epoch, counted from 0; see `draw_changes`."""
    return draw_changes(augmentation, (seed, epoch, _IN_EPOCH), rows, others)


@dataclass(frozen=True)
class Views:
    """Some ways of seeing each face that stay the same through a training, so that teachers can be asked beforehand.

    View 0 is the face as it is.

    Attributes:
        count: how many there are beside view 0.
        augmentation: how far they are changed.
        seed: of the changes, and of which view is seen in which epoch.
    """

    count: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def seen_in_epoch(self, epoch: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The view of each face in an epoch, counted from 0: int64 (n,), each as likely as any other."""
        views: npt.NDArray[np.int64] = np.zeros(len(rows), np.int64)
        if self.count:
            views[:] = uniforms((self.seed, epoch, _CHOICE), rows, 1)[0] * (self.count + 1)
        return views

    def changes(
        self, views: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
    ) -> tuple[Changes, npt.NDArray[np.int64]]:
        """How faces are changed in these views of them, (n,); see `draw_changes`."""
        changes, around = no_changes(len(rows)), np.full(len(rows), -1, np.int64)
        for view in set(views.tolist()) - {0}:
            at = views == view
            changes[at], around[at] = draw_changes(self.augmentation, (self.seed, view, _IN_VIEW), rows[at], others)
        return changes, around


def draw_changes(
    augmentation: Augmentation, seed: Sequence[int], rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
) -> tuple[Changes, npt.NDArray[np.int64]]:
    """Draw how each face is changed, from numbers that depend on the seed and its row alone.

    Args:
        augmentation: how far.
        seed: whole numbers, not negative.
        rows: n rows of faces.
        others: rows of the faces whose middles may be around them, at least one.

    Returns:
        (n,) of `agegender_core.augment.CHANGE`; int64 (n,), the row of the face around each, -1 for none.
    """
    u = uniforms(seed, rows, 32)
    changes = no_changes(len(rows))
    _draw_warps(changes["warp"], augmentation, u[0:5])
    _draw_colours(changes["colours"], augmentation, u[5:12])
    detail = 1 / (1 + (augmentation.shrink - 1) * u[13])
    np.copyto(changes["detail"], detail, where=u[12] < augmentation.blur, casting="same_kind")
    extent = 0.1 + 0.25 * u[15:17]
    start = u[17:19] * (1 - extent)
    is_covered = u[14] < augmentation.occlusion
    changes["covered"] = (np.concatenate([start, start + extent]) * is_covered).T
    changes["cover"] = np.floor(256 * u[19:22]).T
    is_surrounded = u[22] < augmentation.surroundings
    inset = augmentation.inset * is_surrounded * u[23:27]
    changes["kept"] = np.concatenate([inset[:2], 1 - inset[2:]]).T
    kind = np.floor(3 * u[27])  # black, as the edges of chips are; one colour; another face
    changes["surroundings"] = (np.floor(256 * u[28:31]) * (kind == 1)).T
    beside = others[(len(others) * u[31]).astype(np.int64)]
    return changes, np.where(is_surrounded & (kind == 2), beside, -1)


def _between(most: float, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Evenly from -most to most."""
    return 2 * most * u - most


def _draw_warps(warps: npt.NDArray[np.float32], augmentation: Augmentation, u: npt.NDArray[np.float64]) -> None:
    """The inverses, (n, 2, 3), of a mirroring, turn, scaling and shift about the middle of the chip."""
    flip = np.where(u[0] < augmentation.flip, -1.0, 1.0)
    turn = np.radians(_between(augmentation.rotation, u[1]))
    scale = 1 + _between(augmentation.scale, u[2])
    x, y = 0.5 + _between(augmentation.shift, u[3:5])
    cosine, sine = np.cos(turn) / scale, np.sin(turn) / scale
    warps[:, 0] = np.stack([flip * cosine, -flip * sine, 0.5 - flip * (cosine * x - sine * y)], axis=1)
    warps[:, 1] = np.stack([sine, cosine, 0.5 - (sine * x + cosine * y)], axis=1)


def _draw_colours(colours: npt.NDArray[np.float32], augmentation: Augmentation, u: npt.NDArray[np.float64]) -> None:
    """The matrices, (n, 3, 4), from colours to colours; contrast turns about middle grey."""
    saturation = (1 + _between(augmentation.saturation, u[0])) * (u[1] >= augmentation.grey)
    contrast = 1 + _between(augmentation.contrast, u[2])
    gain = contrast * (1 + _between(augmentation.tint, u[3:6]))
    grey = gain * (1 - saturation)
    colours[:, :, :3] = grey.T[:, :, None] * _GREY
    colours[:, [0, 1, 2], [0, 1, 2]] += (gain * saturation).T
    colours[:, :, 3] = (127.5 * (1 - contrast) + 255 * _between(augmentation.brightness, u[6]))[:, None]
