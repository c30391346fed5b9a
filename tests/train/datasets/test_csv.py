from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree


def read(folder: Path, table: str | bytes, *files: str, name: str = "faces.csv") -> dict[str, Sample | Rejection]:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
    entries = list(get_dataset("csv").samples(FileTree.open(folder)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


def test_all_columns(tmp_path: Path) -> None:
    table = "Path,AGE,Gender,subject,group,split,note\na b.jpg,24,M,Budi,Javanese,train,x\nsub/c.png,60+,woman,,,,\n"
    found = read(tmp_path, table, "a b.jpg", "sub/c.png", "sub/d.png")
    assert found == {
        "a b.jpg": Sample("a b.jpg", 24, 24, 1, "Javanese", "Budi", "train"),
        "sub/c.png": Sample("sub/c.png", 60, 100, 0),
        "sub/d.png": Rejection("sub/d.png", "not in the label file"),
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_as_spreadsheets_save_it(tmp_path: Path, delimiter: str, encoding: str) -> None:
    table = "path,age_low,age_high,gender\r\nå.jpg,25,32,Female\r\n\r\n".replace(",", delimiter)
    (sample,) = read(tmp_path, table.encode(encoding)).values()
    assert sample == Sample("å.jpg", 25, 32, 0)


@pytest.mark.parametrize(
    ("gender", "expected"),
    [("m", 1), ("MALE", 1), ("Man", 1), ("f", 0), ("female", 0), ("Woman", 0), ("", None), ("unknown", None)],
)
def test_genders(tmp_path: Path, gender: str, expected: int | None) -> None:
    (sample,) = read(tmp_path, f"path,age,gender\na.jpg,5,{gender}\n").values()
    assert sample == Sample("a.jpg", 5, 5, expected)


@pytest.mark.parametrize("gender", ["1", "0", "w", "girl", "male?"])
def test_genders_that_mean_one_thing_here_and_another_there_are_rejected(tmp_path: Path, gender: str) -> None:
    (entry,) = read(tmp_path, f"path,age,gender\na.jpg,5,{gender}\n").values()
    value = f"gender must be m, male, man, f, female or woman, got '{gender}'"
    assert entry == Rejection("a.jpg", "label not understood", value)


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ("25-32,,", (25, 32)),
        ('"(25, 32)",,', (25, 32)),
        (",3,9", (3, 9)),
        ("5,3,9", (3, 9)),
        ("35.5,,", (35.5, 35.5)),
        (",,", (None, None)),
        ("101,,", (101, 101)),  # is rejected later, by the rule for all datasets
    ],
)
def test_ages(tmp_path: Path, ages: str, expected: tuple[float | None, float | None]) -> None:
    (sample,) = read(tmp_path, f"path,age,age_low,age_high,gender\na.jpg,{ages},f\n").values()
    assert isinstance(sample, Sample)
    assert (sample.age_low, sample.age_high) == expected


@pytest.mark.parametrize("ages", ["old,,", "-1,,", ",3,", ",,9", ",9,3", "20,3,9", ",3-4,9", '"3,5",,', "1e3,,"])
def test_ages_that_are_not_clear_are_rejected(tmp_path: Path, ages: str) -> None:
    (entry,) = read(tmp_path, f"path,age,age_low,age_high\na.jpg,{ages}\n").values()
    assert isinstance(entry, Rejection)
    assert entry.reason == "label not understood"


def test_paths_are_relative_to_the_table_and_stay_inside(tmp_path: Path) -> None:
    table = "path,age\n./a.jpg,1\n..\\b.jpg,2\n../../../../etc/passwd,3\n/etc/passwd,4\n,5\n"
    found = read(tmp_path, table, "set/a.jpg", "b.jpg", name="set/faces.csv")
    assert found["set/a.jpg"] == Sample("set/a.jpg", 1, 1)
    assert found["b.jpg"] == Sample("b.jpg", 2, 2)
    files = FileTree.open(tmp_path)
    assert [key for key in found if key not in files] == ["../../../etc/passwd", "/etc/passwd", "set/faces.csv:6"]


def test_an_accent_is_found_however_it_is_written(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    found = read(tmp_path, f"path,age\n{composed},1\n", apart)
    assert found == {apart: Sample(apart, 1, 1)}


def test_pictures_that_differ_in_their_suffix_are_two_and_a_picture_may_have_two_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "path,age\na.jpg,1\na.png,2\na.png,3\n", "a.jpg", "a.png")
    assert found == {
        "a.jpg": Sample("a.jpg", 1, 1),
        "a.png": Sample("a.png", 2, 2),
        "a.png#2": Sample("a.png#2", 3, 3, picture="a.png"),
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"name,age\na.jpg,3\n", "no CSV file with the column path"),
        (b"", "no CSV file with the column path"),
        (b"path,subject\na.jpg,3\n", r"faces\.csv must have a column age, gender, or age_low and age_high"),
        (b"path,age_low\na.jpg,3\n", r"faces\.csv must have a column age, gender, or age_low and age_high"),
        (b"path,age,Age\na.jpg,3,4\n", r"faces\.csv has the column age twice"),
        (b"path,age\na.jpg,3\n\xff\xfe\xe9.jpg,4\n", r"faces\.csv is no UTF-8 text"),
        (b'path,age\n"a.jpg,3\n', r"faces\.csv is no table with columns: unexpected end of data"),
        (b"path,age\n" + b"x" * 200_000 + b",3\n", r"faces\.csv is no table with columns: field larger than"),
    ],
)
def test_another_file_gives_one_clear_error(tmp_path: Path, table: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, table)


def test_several_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("path,gender\n")
    with pytest.raises(ValueError, match=r"must be one CSV file with the column path, got b\.csv, faces\.csv"):
        read(tmp_path, "path,age\na.jpg,3\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=60) | st.text('a,;\t"\n0-+m\x00é', max_size=60).map(str.encode))
def test_any_rows_are_samples_rejections_or_a_value_error(tmp_path: Path, rows: bytes) -> None:
    try:
        found = read(tmp_path, b"path,age,gender,age_low,age_high\n" + rows)
    except ValueError:
        return
    for entry in found.values():
        assert isinstance(entry, Rejection) or entry.age_low is None or entry.age_low <= (entry.age_high or 0)


def test_an_unreadable_table_counts_only_where_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "dead.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"dead\.csv is no regular file"):
        list(get_dataset("csv").samples(FileTree.open(tmp_path)))
    assert set(read(tmp_path, "path,age\na.jpg,3\n")) == {"a.jpg"}
