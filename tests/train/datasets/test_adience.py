from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree

HEADER = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score\n"
REST = "\t0\t414\t1086\t1383\t-115\t30\t17\n"


def read(folder: Path, *rows: str, files: tuple[str, ...] = ()) -> dict[str, Sample | Rejection]:
    (folder / "fold_3_data.txt").write_text(HEADER + "".join(row.replace("|", "\t") + REST for row in rows))
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    entries = list(get_dataset("adience").samples(FileTree.open(folder)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


def test_groups_stay_intervals_m_is_male_and_the_fold_is_the_split(tmp_path: Path) -> None:
    picture = "faces/7@N03/coarse_tilt_aligned_face.1.104_o.jpg"
    found = read(tmp_path, "7@N03|104_o.jpg|1|(25, 32)|m", "8@N01|105_o.jpg|2|35|f", files=(picture,))
    box = (0.25, 0.25, 0.75, 0.75)
    absent = "8@N01/coarse_tilt_aligned_face.2.105_o.jpg"
    assert found == {
        picture: Sample(picture, 25, 32, 1, None, "7@N03", "fold-3", box),
        absent: Sample(absent, 35, 35, 0, None, "8@N01", "fold-3", box),
    }


@pytest.mark.parametrize(
    ("text", "ages"),
    [
        ("(0, 2)", (0, 2)),
        ("(60, 100)", (60, 100)),
        ("(8, 23)", (8, 12)),
        ("(27, 32)", (25, 32)),
        ("(38, 42)", (38, 43)),
        ("(38, 48)", (38, 43)),
        ("(30, 37)", (30, 37)),  # no slip that is known: what it says
        ("57", (57, 57)),
    ],
)
def test_slips_are_read_as_the_group_they_mean(tmp_path: Path, text: str, ages: tuple[float, float]) -> None:
    (sample,) = read(tmp_path, f"7@N03|104_o.jpg|1|{text}|f").values()
    assert isinstance(sample, Sample)
    assert (sample.age_low, sample.age_high) == ages


def test_none_is_counted_and_unknown_genders_are_missing(tmp_path: Path) -> None:
    rows = ["a|1.jpg|1|None|f", "a|2.jpg|1|None|", "a|3.jpg|1|(0, 2)|u", "a|4.jpg|1|(0, 2)|", "a|5.jpg|1|(0, 2)|x"]
    entries = list(read(tmp_path, *rows, "a|6.jpg|1|age|f", "|7.jpg|1|(0, 2)|f").values())
    assert [entry.reason if isinstance(entry, Rejection) else entry.gender for entry in entries] == [
        "age missing",
        "age missing",
        None,
        None,
        "label not understood",
        "label not understood",
        "label not understood",
    ]
    assert entries[-1].key == "fold_3_data.txt:8"


def test_aligned_pictures_do_too_and_count_as_second_ones_beside_the_others(tmp_path: Path) -> None:
    coarse, aligned = "faces/a/coarse_tilt_aligned_face.1.1.jpg", "aligned/a/landmark_aligned_face.1.1.jpg"
    other, stranger = "aligned/a/landmark_aligned_face.2.2.jpg", "aligned/a/landmark_aligned_face.3.3.jpg"
    rows = ("a|1.jpg|1|(0, 2)|f", "a|2.jpg|2|(0, 2)|m")
    found = read(tmp_path, *rows, files=(coarse, aligned, other, stranger))
    assert isinstance(found[coarse], Sample)
    assert isinstance(found[other], Sample)
    assert found[aligned] == Rejection(aligned, "second picture for a label", coarse)
    assert found[stranger] == Rejection(stranger, "not in the label file")


def test_other_folders_and_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fold_frontal_0_data.txt").write_text(HEADER)
    with pytest.raises(ValueError, match=r"no fold_0_data\.txt"):
        list(get_dataset("adience").samples(FileTree.open(tmp_path)))
    (tmp_path / "fold_0_data.txt").write_text("user_id\tage\n")
    with pytest.raises(ValueError, match=r"fold_0_data\.txt must have the columns .*; face_id is missing"):
        list(get_dataset("adience").samples(FileTree.open(tmp_path)))
    (tmp_path / "fold_0_data.txt").write_bytes(b"\x00\xff\xd8" * 1000)
    with pytest.raises(ValueError, match=r"fold_0_data\.txt is no UTF-8 text"):
        list(get_dataset("adience").samples(FileTree.open(tmp_path)))


def test_the_real_folds_beside_a_count_made_otherwise(shared_data: Path) -> None:
    folder = shared_data / "labels" / "adience"
    entries = list(get_dataset("adience").samples(FileTree.open(folder)))
    samples = [entry for entry in entries if isinstance(entry, Sample)]
    assert len(entries) == 19_370
    assert {entry.reason for entry in entries if isinstance(entry, Rejection)} == {"age missing"}
    assert len(entries) - len(samples) == 748

    lines = [
        (number, line)
        for number in range(5)
        for line in csv.reader((folder / f"fold_{number}_data.txt").read_text().splitlines(), delimiter="\t")
        if line[0] != "user_id"
    ]
    said = Counter(line[3] for _, line in lines)
    found = Counter((sample.age_low, sample.age_high) for sample in samples)
    assert found[0, 2] == said["(0, 2)"] == 2488
    assert found[4, 6] == said["(4, 6)"] == 2140
    assert found[8, 12] == said["(8, 12)"] + said["(8, 23)"] == 2124 + 1
    assert found[15, 20] == said["(15, 20)"] == 1642
    assert found[25, 32] == said["(25, 32)"] + said["(27, 32)"] == 5004 + 77
    assert found[38, 43] == said["(38, 43)"] + said["(38, 42)"] + said["(38, 48)"] == 2293 + 46 + 6
    assert found[48, 53] == said["(48, 53)"] == 830
    assert found[60, 100] == said["(60, 100)"] == 872
    singles = {int(text): count for text, count in said.items() if text.isdigit()}
    assert {age: found[age, age] for age in singles} == singles
    assert sum(singles.values()) == 1099
    assert found.total() == 2488 + 2140 + 2125 + 1642 + 5081 + 2345 + 830 + 872 + 1099 == 19_370 - said["None"]

    with_age = [line for _, line in lines if line[3] != "None"]
    genders = Counter(sample.gender for sample in samples)
    assert genders == {
        0: sum(line[4] == "f" for line in with_age),
        1: sum(line[4] == "m" for line in with_age),
        None: 1170,
    }
    folds = Counter(sample.split for sample in samples)
    assert folds == Counter(f"fold-{number}" for number, line in lines if line[3] != "None")
    albums = {(sample.subject, sample.split) for sample in samples}
    assert len(albums) == len({subject for subject, _ in albums})  # no album is in two folds
