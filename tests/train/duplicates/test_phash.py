from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_core import read_image
from agegender_train.duplicates.phash import close_pairs, distance, perceptual_hash


def _hash(chip: np.ndarray) -> np.ndarray:
    return np.array([perceptual_hash(np.ascontiguousarray(chip))], np.uint64)


def test_what_looks_the_same_has_nearly_the_same_hash(astronaut_path: Path) -> None:
    chip = cv2.resize(read_image(astronaut_path), (140, 140), interpolation=cv2.INTER_AREA)
    small = cv2.resize(chip, (90, 90), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", chip, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    brighter = np.clip(chip.astype(int) + 20, 0, 255).astype(np.uint8)
    for same in (small, jpeg, brighter):
        assert distance(_hash(chip), _hash(same))[0] <= 4
    for other in (chip[:, ::-1], chip[::-1], np.rot90(chip)):
        assert distance(_hash(chip), _hash(other))[0] >= 16


def test_distance_counts_bits() -> None:
    a = np.array([0, 0b1011, 2**64 - 1], np.uint64)
    assert distance(a, np.zeros(3, np.uint64)).tolist() == [0, 3, 64]


def _found(hashes: np.ndarray, bits: int) -> list[tuple[int, int]]:
    with ThreadPoolExecutor(2) as executor:
        blocks = list(close_pairs(hashes, bits, executor))
    return [(int(i), int(j)) for rows, others in blocks for i, j in zip(rows, others, strict=True)]


@pytest.mark.parametrize("bits", [0, 1, 4, 8, 12, 16])
@pytest.mark.parametrize("count", [0, 1, 2, 40, 600])
def test_close_pairs_are_those_that_comparing_all_gives(bits: int, count: int) -> None:
    rng = np.random.default_rng(count + bits)
    hashes = rng.integers(0, 2**64, count, np.uint64, endpoint=False)
    for row in range(1, count, 3):  # near others, by up to 20 bits
        flips = rng.choice(64, rng.integers(0, 21), replace=False).astype(np.uint64)
        hashes[row] = hashes[row - 1] ^ np.bitwise_or.reduce(np.uint64(1) << flips, initial=0)
    i, j = np.triu_indices(count, 1)
    close = distance(hashes[i], hashes[j]) <= bits
    found = _found(hashes, bits)
    assert sorted(found) == list(zip(i[close].tolist(), j[close].tolist(), strict=True))
    assert found == _found(hashes, bits)


def test_hashes_that_differ_in_few_places_only_are_all_compared() -> None:
    hashes = np.arange(
        300, dtype=np.uint64
    )  # as of pictures that hardly differ: no group of high bits tells them apart
    i, j = np.triu_indices(300, 1)
    close = distance(hashes[i], hashes[j]) <= 2
    assert sorted(_found(hashes, 2)) == list(zip(i[close].tolist(), j[close].tolist(), strict=True))


def test_more_than_16_bits_are_refused() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=r"bits must be in 0\.\.16, got 17"):
        list(close_pairs(np.zeros(2, np.uint64), 17, executor))
