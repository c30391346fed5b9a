"""Perceptual hashes: pictures that look the same have nearly the same hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import combinations
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from agegender_train.files import map_in_order

_SIDE = 32
_LOW = 8
_BITS = 64
_MORE_KEYS_THAN_HASHES = 1  # bits
_BLOCK = 1 << 20
_AHEAD = 64

Hashes: TypeAlias = npt.NDArray[np.uint64]
Rows: TypeAlias = npt.NDArray[np.int64]


def perceptual_hash(chip: npt.NDArray[np.uint8]) -> int:
    """64 bits that say which of a chip's 8 x 8 lowest frequencies lie above their median.

    The "pHash" of Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010) of the grey chip,
    reduced to 32 x 32 pixels: recompression, resizing and a change of brightness flip few bits.

    Args:
        chip: uint8 (S, S, 3), RGB.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low: npt.NDArray[Any] = cv2.dct(small)[:_LOW, :_LOW].ravel()
    # The first is the brightness; the middle one of the 63 others is their median, without np.median's Python.
    bits = low > np.partition(low[1:], 31)[31]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(a: Hashes, b: Hashes) -> npt.NDArray[np.uint8]:
    """Number of bits in which hashes differ: uint8 in 0..64, of the arrays' common shape."""
    return np.bitwise_count(np.bitwise_xor(a, b))


def close_pairs(
    hashes: Hashes, bits: int, executor: Executor, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of hashes that differ in at most `bits` bits, each pair once, a block at a time.

    Hashes that differ in at most `bits` of 64 bits are equal in at least k of (`bits` + k) groups of bits, so that
    sorting by every choice of k groups brings them together: the multi-index hashing of Norouzi, Punjani and Fleet
    (Fast Search in Hamming Space with Multi-Index Hashing, 2012). k grows with the number of hashes such that
    chance seldom brings two together. A million hashes take minutes, not the days that comparing all would take.

    Args:
        hashes: uint64 (n,).
        bits: 0..16.
        executor: sorts and compares.
        progress: called with the number of sorts done and of all.

    Yields:
        Rows i and j, int64 (m,) each, i < j in each pair; the same blocks in the same order every time.
    """
    if not 0 <= bits <= 16:
        raise ValueError(f"bits must be in 0..16, got {bits}")
    wanted = np.log2(max(len(hashes), 2)) + _MORE_KEYS_THAN_HASHES
    equal = next(k for k in range(1, _BITS) if _BITS * k >= wanted * (bits + k))
    # Bits of low and of high frequencies in every group: high ones are nearer to chance.
    groups = [np.uint64(sum(1 << bit for bit in range(first, _BITS, bits + equal))) for first in range(bits + equal)]
    choices = list(combinations(range(bits + equal), equal))

    def found_by(choice: tuple[int, ...]) -> tuple[Rows, Rows]:
        mask = np.bitwise_or.reduce([groups[group] for group in choice])
        others = [groups[group] for group in range(choice[-1]) if group not in choice]
        return _close(hashes, bits, mask, others)

    for done, pairs in enumerate(map_in_order(executor, found_by, choices, _AHEAD), 1):
        if len(pairs[0]):
            yield pairs
        progress(done, len(choices))


def _close(hashes: Hashes, bits: int, mask: np.uint64, others: Sequence[np.uint64]) -> tuple[Rows, Rows]:
    """The close pairs that are equal in the bits of `mask` and not in all of any of `others`."""
    found_i, found_j = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for i, j in _equal_in(hashes, mask):
        different = hashes[i] ^ hashes[j]
        close = np.flatnonzero(np.bitwise_count(different) <= bits)
        for group in others:  # else another choice, an earlier one, finds them
            close = close[(different[close] & group) != 0]
        i, j = i[close], j[close]
        found_i.append(np.minimum(i, j))
        found_j.append(np.maximum(i, j))
    return np.concatenate(found_i), np.concatenate(found_j)


def _equal_in(hashes: Hashes, mask: np.uint64) -> Iterator[tuple[Rows, Rows]]:
    keys = hashes & mask
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    places = np.arange(len(keys))
    for step in range(1, len(keys)):
        places = places[: np.searchsorted(places, len(keys) - step)]
        places = places[keys[places] == keys[places + step]]
        if not len(places):
            return
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            yield order[block], order[block + step]
