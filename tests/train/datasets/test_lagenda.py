from __future__ import annotations

from pathlib import Path

import pytest

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree

COLUMNS = "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0,person_y0,person_x1,person_y1\n"


def read(folder: Path, *rows: str, files: tuple[str, ...] = ()) -> dict[str, Sample | Rejection]:
    (folder / "annotation.csv").write_text(COLUMNS + "".join(f"{row},1,2,3,4\n" for row in rows))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
    entries = list(get_dataset("lagenda").samples(FileTree.open(folder)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


def test_every_person_of_a_picture_is_a_label_with_a_box_of_its_own(tmp_path: Path) -> None:
    rows = ("b/f.jpg,10,F,342,583,420,663", "b/f.jpg,13,M,976,327,1100,413", "b/g.jpg,25;32,M,1,2,30,40")
    found = read(tmp_path, *rows, files=("images/b/f.jpg", "other.jpg"))
    name = "images/b/f.jpg"
    assert found == {
        name: Sample(name, 10, 10, 0, known_xyxy=(342, 583, 420, 663)),
        f"{name}#2": Sample(f"{name}#2", 13, 13, 1, known_xyxy=(976, 327, 1100, 413), picture=name),
        "b/g.jpg": Sample("b/g.jpg", 25, 32, 1, known_xyxy=(1, 2, 30, 40)),
        "other.jpg": Rejection("other.jpg", "not in the label file"),
    }


def test_faces_without_a_label_are_samples_without_one_and_bodies_without_a_face_are_rejected(tmp_path: Path) -> None:
    rows = ("a.jpg,-1,-1,342,583,420,663", "a.jpg,20,M,-1,-1,-1,-1", "a.jpg,20,,,,,", "a.jpg,-1,F,1,2,3,4")
    entries = list(read(tmp_path, *rows).values())
    assert entries[0] == Sample("a.jpg", known_xyxy=(342, 583, 420, 663))
    assert entries[1:3] == [Rejection("a.jpg#2", "no box of the face"), Rejection("a.jpg#3", "no box of the face")]
    assert entries[3] == Sample("a.jpg#4", gender=0, known_xyxy=(1, 2, 3, 4), picture="a.jpg")


@pytest.mark.parametrize(
    "row", ["a.jpg,x,M,1,2,3,4", "a.jpg,3,1,1,2,3,4", "a.jpg,3,M,1,2,1,4", "a.jpg,3,M,1,two,3,4", "a.jpg,3,M,1,nan,3,4"]
)
def test_what_is_not_understood_is_rejected(tmp_path: Path, row: str) -> None:
    (entry,) = read(tmp_path, row).values()
    assert isinstance(entry, Rejection)
    assert entry.reason == "label not understood"


def test_folders_count_where_names_alone_do_not_tell(tmp_path: Path) -> None:
    rows = ("x/1.jpg,10,F,1,2,3,4", "y/1.jpg,20,M,1,2,3,4")
    found = read(tmp_path, *rows, files=("set/y/1.jpg",))
    assert found["set/y/1.jpg"].age_low == 20  # type: ignore[union-attr]
    assert found["x/1.jpg"].age_low == 10  # type: ignore[union-attr]


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotation.csv").write_text("img_name,age\n")
    with pytest.raises(ValueError, match="no CSV file with the columns img_name, age, gender, face_x0"):
        list(get_dataset("lagenda").samples(FileTree.open(tmp_path)))
