from __future__ import annotations

from pathlib import Path

import pytest

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree

TABLE = """file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age
000000.jpg,36,5.055556,3.060033,4
000001.jpg,36,18.361111,2.799802,18
000002.jpg,36,,,old
"""


def read(folder: Path, *files: str, name: str = "appa-real", table: str = TABLE) -> dict[str, Sample | Rejection]:
    (folder / "gt_avg_valid.csv").write_text(table)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
    entries = list(get_dataset(name).samples(FileTree.open(folder)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


def test_the_face_is_taken_before_the_whole_picture(tmp_path: Path) -> None:
    face, whole = "appa-real-release/valid/000000.jpg_face.jpg", "appa-real-release/valid/000000.jpg"
    other, stranger = "appa-real-release/valid/000001.jpg", "appa-real-release/train/000001.jpg"
    found = read(tmp_path, face, whole, other, stranger)
    sample = found[face]
    assert isinstance(sample, Sample)
    assert (sample.age_low, sample.age_high, sample.gender, sample.split) == (4, 4, None, "valid")
    assert sample.known_box == pytest.approx((2 / 9, 2 / 9, 7 / 9, 7 / 9))
    assert found[other] == Sample(other, 18, 18, split="valid")
    assert found[whole] == Rejection(whole, "second picture for a label", face)
    assert found[stranger] == Rejection(stranger, "not in the label file")
    assert found["valid/000002.jpg"] == Rejection("valid/000002.jpg", "label not understood", "old")


def test_the_apparent_age_is_a_fraction_of_years(tmp_path: Path) -> None:
    found = read(tmp_path, name="appa-real-apparent")
    assert found["valid/000000.jpg"] == Sample("valid/000000.jpg", 5.055556, 5.055556, split="valid")
    assert found["valid/000002.jpg"].age_low is None  # type: ignore[union-attr]


def test_other_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gt_avg_valid\.csv must have the columns file_name, real_age; real_age is m"):
        read(tmp_path, table="file_name,apparent_age_avg\n")
    (tmp_path / "gt_avg_valid.csv").rename(tmp_path / "gt_valid.csv")
    with pytest.raises(ValueError, match=r"no gt_avg_train\.csv, gt_avg_valid\.csv or gt_avg_test\.csv"):
        list(get_dataset("appa-real").samples(FileTree.open(tmp_path)))
