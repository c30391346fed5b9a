from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_train.preprocessing import preprocess


@pytest.fixture(scope="module")
def source_of_two(tmp_path_factory: pytest.TempPathFactory, astronaut_path: Path) -> Path:
    """Two pictures: in the first are a large and a small face, in the second one face."""
    folder = tmp_path_factory.mktemp("source")
    face = cv2.imread(str(astronaut_path))[:300, 80:380]
    both = np.full((320, 560, 3), 128, np.uint8)
    both[10:310, :300] = face
    both[80:290, 330:540] = cv2.resize(face[:, ::-1], (210, 210), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "both.jpg"), both)
    cv2.imwrite(str(folder / "one.jpg"), face[:, ::-1])
    (folder / "labels.csv").write_text("path,age,gender\nboth.jpg,30,f\none.jpg,40,f\n")
    return folder


@pytest.fixture
def store_of_two(source_of_two: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    preprocess("csv", source_of_two, folder, size=72, near_duplicates=None)
    return folder
