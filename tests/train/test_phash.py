from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from agegender_core import read_image
from agegender_train.phash import distance, perceptual_hash


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
