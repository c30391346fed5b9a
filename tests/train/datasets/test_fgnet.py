from __future__ import annotations

from pathlib import Path

import pytest

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree


def read(folder: Path, *names: str) -> dict[str, Sample | Rejection]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return {entry.key: entry for entry in get_dataset("fgnet").samples(FileTree.open(folder))}


def test_person_and_age(tmp_path: Path) -> None:
    found = read(tmp_path, "images/001A02.JPG", "images/082A43b.jpg", "points/001a02.pts", "images/cover.jpg")
    assert found["images/001A02.JPG"] == Sample("images/001A02.JPG", 2, 2, subject="001")
    assert found["images/082A43b.jpg"] == Sample("images/082A43b.jpg", 43, 43, subject="082")
    assert isinstance(found["images/cover.jpg"], Rejection)
    assert "points/001a02.pts" not in found


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"001A02\.JPG"):
        read(tmp_path, "holiday.jpg")


def test_all_of_the_real_one(shared_data: Path) -> None:
    samples = list(get_dataset("fgnet").samples(FileTree.open(shared_data / "fgnet" / "FGNET.tar")))
    assert len(samples) == 311
    assert all(isinstance(sample, Sample) for sample in samples)
    assert len({sample.subject for sample in samples if isinstance(sample, Sample)}) == 25
