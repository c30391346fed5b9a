from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree

LABELS = """file,age,gender,race,service_test
train/1.jpg,50-59,Male,East Asian,True
train/2.jpg,more than 70,Female,Black,False
train/3.jpg,0-2,Female,White,False
train/4.jpg,ancient,Male,Indian,False
"""


def read(*paths: Path) -> dict[str, Sample | Rejection]:
    entries = list(get_dataset("fairface").samples(FileTree.open(*paths)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


def make_folder(folder: Path, *names: str, labels: str = LABELS) -> Path:
    (folder / "fairface_label_train.csv").write_text(labels)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_groups_genders_and_splits(tmp_path: Path) -> None:
    found = read(make_folder(tmp_path, "train/1.jpg", "train/2.jpg", "train/3.jpg"))
    box = (10 / 160, 10 / 160, 139 / 160, 139 / 160)
    assert found["train/1.jpg"] == Sample("train/1.jpg", 50, 59, 1, "East Asian", None, "train", box)
    assert found["train/2.jpg"] == Sample("train/2.jpg", 70, 100, 0, "Black", None, "train", box)
    assert found["train/3.jpg"] == Sample("train/3.jpg", 0, 2, 0, "White", None, "train", box)


def test_every_label_and_every_picture_is_accounted_for(tmp_path: Path) -> None:
    found = read(make_folder(tmp_path, "train/1.jpg", "train/1.png", "train/4.jpg", "train/9.jpg"))
    reasons = {key: entry.reason for key, entry in found.items() if isinstance(entry, Rejection)}
    assert reasons == {
        "train/4.jpg": "label not understood",
        "train/1.png": "second picture for a label",
        "train/9.jpg": "not in the label file",
    }
    assert found["train/2.jpg"].age_low == 70  # type: ignore[union-attr]  # its picture is not there, its label is
    assert list(found) == ["train/1.jpg", "train/2.jpg", "train/3.jpg", "train/4.jpg", "train/1.png", "train/9.jpg"]


def test_other_suffixes_folders_and_archives_match_too(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    make_folder(tmp_path / "labels", labels="\ufeff" + LABELS)  # saved by a spreadsheet
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("FairFace/train/1.webp", b"")
        archive.writestr("FairFace/train/2.PNG", b"")
    found = read(tmp_path / "labels", tmp_path / "pictures.zip")
    assert isinstance(found["FairFace/train/1.webp"], Sample)
    assert isinstance(found["FairFace/train/2.PNG"], Sample)
    assert found["FairFace/train/1.webp"].split == "train"


def test_two_rows_for_a_picture_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path, "train/1.jpg", labels=LABELS + "train/1.jpg,3-9,Male,White,False\n")
    with pytest.raises(ValueError, match=r"two rows for train/1\.jpg"):
        read(tmp_path)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path, "train/1.jpg", labels="name,years\n1,2\n")
    with pytest.raises(ValueError, match="no CSV file with the columns age, file, gender, race is in"):
        read(tmp_path)


def test_words_that_are_no_gender_are_rejected(tmp_path: Path) -> None:
    labels = "file,age,gender,race\ntrain/1.jpg,3-9,1,White\ntrain/2.jpg,3-9,,White\ntrain/3.jpg,3-9,male,White,,\n"
    found = read(make_folder(tmp_path, labels=labels + "train/5.jpg,3,9,Male,White\n,3-9,Male,White\n"))
    assert found["train/1.jpg"] == Rejection("train/1.jpg", "label not understood", "gender 1")
    assert found["train/2.jpg"].gender is None  # type: ignore[union-attr]
    assert found["train/3.jpg"].gender == 1  # type: ignore[union-attr]
    table = "fairface_label_train.csv"
    assert found[f"{table}:5"] == Rejection(f"{table}:5", "label not understood", "5 fields in 4 columns")
    assert found[f"{table}:6"] == Rejection(f"{table}:6", "label not understood", "no file")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_label_file_that_went_through_a_spreadsheet(tmp_path: Path, delimiter: str) -> None:
    rows = ["file,age,gender,race", "train/1.jpg,03-Sep,Male,White", "train/2.jpg,Oct-19,Female,White"]
    rows += ["train/3.jpg,2019-10-01,Male,White", "train/4.jpg,2023-09-03 00:00:00,Male,White"]
    rows += ["train/5.jpg,Okt 19,Male,White", "train/6.jpg,2019-03-02,Male,White", "train/7.jpg,04-Sep,Male,White"]
    make_folder(tmp_path, labels="\r".join(rows).replace(",", delimiter))
    files = FileTree.open(tmp_path)
    found = {entry.key: entry for entry in get_dataset("fairface").samples(files)}
    ages = {key[6]: (entry.age_low, entry.age_high) for key, entry in found.items() if isinstance(entry, Sample)}
    assert ages == {"1": (3, 9), "2": (10, 19), "3": (10, 19), "4": (3, 9), "5": (10, 19)}
    assert found["train/7.jpg"] == Rejection("train/7.jpg", "label not understood", "04-Sep")
    note = 'fairface_label_train.csv: "03-Sep", a date made by a spreadsheet, was read as 3-9'
    assert files.notes[note] == 1
    assert len(files.notes) == 5


def test_the_case_from_a_public_repository(shared_data: Path) -> None:
    table = shared_data / "cases" / "fairface_label_val.csv"
    if not table.exists():
        pytest.skip("the bad inputs (../shared/data/cases) are not on this machine")
    assert [(s.age_low, s.age_high) for s in read(table).values() if isinstance(s, Sample)] == [
        (3, 9),
        (50, 59),
        (10, 19),
    ]


@pytest.mark.slow
def test_the_real_data(shared_data: Path) -> None:
    entries = read(shared_data / "fairface")
    samples = [entry for entry in entries.values() if isinstance(entry, Sample)]
    assert len(entries) == len(samples) == 40_000
    assert Counter(sample.gender for sample in samples) == {0: 18839, 1: 21161}
    assert Counter(sample.age_low for sample in samples)[70] == 394
    assert {sample.split for sample in samples} == {"train"}
    assert samples[0] == entries["train/1.webp"]
    assert (samples[0].age_low, samples[0].age_high, samples[0].gender) == (50, 59, 1)
