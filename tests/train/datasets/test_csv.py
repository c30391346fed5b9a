from __future__ import annotations

import pickle
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
        (b"name,age\na.jpg,3\n", "no CSV file with the column path is in .*; faces.csv has name, age"),
        (
            b"path,Sex,Years\na.jpg,m,3\n",
            "it has path, Sex, Years; rename Sex to gender if that is what it is; rename Y",
        ),
        (b"", "no CSV file with the column path"),
        (b"path,subject\na.jpg,3\n", r"faces\.csv must have a column age, gender, or age_low and age_high"),
        (b"path,age_low\na.jpg,3\n", r"faces\.csv must have a column age, gender, or age_low and age_high"),
        (b"path,age,Age\na.jpg,3,4\n", r"faces\.csv has the column age twice"),
        (b"path,age\na.jpg,3\n\x81\xfe\xe9.jpg,4\n", r"faces\.csv is no UTF-8 text.*near line 3"),
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


TABLE = "path;age;gender\r\nb\u00fcro/\u00e5.jpg;24,5;f\r\nb\u00fcro/b.jpg;25-32;m\r\n"
AS_SAVED = {
    "Excel, German": TABLE.encode("cp1252"),
    "Excel, CSV UTF-8": b"\xef\xbb\xbf" + TABLE.encode(),
    "Excel, Unicode text": TABLE.replace(";", "\t").encode("utf-16"),
    "Excel, told what separates": ("sep=;\r\n" + TABLE).encode("utf-8-sig"),
    "Excel for Macintosh": TABLE.replace("\r\n", "\r").encode(),
    "LibreOffice": TABLE.replace("\r\n", "\n").replace(";", "\t").encode(),
    "LibreOffice, all quoted": "".join(
        ";".join(f'"{field}"' for field in line.split(";")) + "\n" for line in TABLE.splitlines()
    ).encode("utf-16-le"),
    "Google Sheets": TABLE.replace("24,5", '"24,5"').replace(";", ",").encode(),
    "Numbers": TABLE.replace("\r\n", "\n").encode("utf-16"),
}


@pytest.mark.parametrize("program", AS_SAVED)
def test_what_each_spreadsheet_program_writes_says_the_same(tmp_path: Path, program: str) -> None:
    found = read(tmp_path, AS_SAVED[program], "b\u00fcro/\u00e5.jpg", "b\u00fcro/b.jpg")
    assert found == {
        "b\u00fcro/\u00e5.jpg": Sample("b\u00fcro/\u00e5.jpg", 24.5, 24.5, 0),
        "b\u00fcro/b.jpg": Sample("b\u00fcro/b.jpg", 25, 32, 1),
    }


def notes(folder: Path, table: str | bytes, *files: str) -> list[str]:
    read(folder, table, *files)
    tree = FileTree.open(folder)
    list(get_dataset("csv").samples(tree))
    return list(tree.notes)


def test_another_encoding_and_decimal_commas_are_noted(tmp_path: Path) -> None:
    assert notes(tmp_path, AS_SAVED["Excel, German"]) == [
        "faces.csv is no UTF-8 text and was read as Windows-1252",
        "faces.csv: ages with a decimal comma, as in 24,5, were read as 24.5",
    ]
    assert notes(tmp_path, "path,age\na.jpg,3\n", "a.jpg") == []


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("24,5", 24.5),  # 24 to 5 is no group
        ("24,125", 24.125),
        ("3,5", None),  # three and a half, or three to five
        ("25,32", None),
    ],
)
def test_a_comma_between_commas_is_decimal_where_it_can_be_nothing_else(
    tmp_path: Path, age: str, expected: float | None
) -> None:
    (entry,) = read(tmp_path, f'path,age\na.jpg,"{age}"\n').values()
    assert isinstance(entry, Rejection) if expected is None else entry == Sample("a.jpg", expected, expected)


@pytest.mark.parametrize("age", ["03-Sep", "9-Mar", "03. Sep", "3-sept.", "Sep-03"])
def test_a_date_that_a_spreadsheet_made_of_a_group_is_read_and_noted(tmp_path: Path, age: str) -> None:
    assert set(read(tmp_path, f"path,age\na.jpg,{age}\n").values()) == {Sample("a.jpg", 3, 9)}
    (note,) = notes(tmp_path, f"path,age\na.jpg,{age}\n")
    assert note == f'faces.csv: "{age}", a date made by a spreadsheet, was read as 3-9'


@pytest.mark.parametrize("age", ["1985-03-12", "12.03.1985", "03-Sep-23", "09-Sep", "03-Xyz", "Sep", "3-"])
def test_real_dates_are_no_ages(tmp_path: Path, age: str) -> None:
    (entry,) = read(tmp_path, f"path,age\na.jpg,{age}\n").values()
    assert isinstance(entry, Rejection)


@pytest.mark.parametrize(
    "path",
    [
        "x/a.jpg", "./x/a.jpg", "x\\a.jpg", "X/A.JPG", "C:\\Users\\me\\x\\a.jpg", "/home/me/x/a.jpg",
        "people/x/a.jpg", "../people/x/a.jpg", "a.jpg", "\\\\server\\share\\x\\a.jpg",
    ],
)  # fmt: skip
@pytest.mark.parametrize("alone", [False, True])
def test_paths_of_other_machines_find_their_picture(tmp_path: Path, path: str, alone: bool) -> None:
    folder = tmp_path / "people"
    read(folder, f"path,age\n{path},3\n", "x/a.jpg", "x/b.jpg", "y/b.jpg")
    reader = get_dataset("csv")
    files = reader.open(folder / "faces.csv" if alone else folder)
    (sample,) = [entry for entry in reader.samples(files) if isinstance(entry, Sample)]
    if path == "a.jpg" and alone:  # to look into all folders below that of a file might take for ever
        assert sample.key not in files
        return
    assert sample.key in files
    assert sample.key.endswith("x/a.jpg")
    assert sample.age_low == 3


def test_what_a_path_may_mean_twice_is_a_row_with_its_reason(tmp_path: Path) -> None:
    table = "path,age\nb.jpg,1\nC:\\here\\a.jpg,2\nD:\\there\\a.jpg,3\nx/c.jpg,4\nX/C.JPG,5\n"
    found = read(tmp_path, table, "x/b.jpg", "y/b.jpg", "a.jpg", "x/c.jpg")
    unclear = {key: entry.value for key, entry in found.items() if getattr(entry, "reason", "") == "path not clear"}
    assert unclear == {
        "b.jpg": "b.jpg may be x/b.jpg or y/b.jpg",
        "C:/here/a.jpg": "C:\\here\\a.jpg may be a.jpg, which another path of faces.csv means, too",
        "D:/there/a.jpg": "D:\\there\\a.jpg may be a.jpg, which another path of faces.csv means, too",
        "X/C.JPG": "X/C.JPG may be x/c.jpg, which another path of faces.csv means, too",
    }
    assert found["x/c.jpg"] == Sample("x/c.jpg", 4, 4)


def test_a_file_alone_stands_for_the_pictures_that_it_names_wherever_they_are(tmp_path: Path) -> None:
    for name in ("set/x/a.jpg", "else/b.jpg", "set/unnamed.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    table = f"path,age\nx/a.jpg,1\n../else/b.jpg,2\n{tmp_path}/else/b.jpg,3\nnowhere.jpg,4\nx,5\n"
    (tmp_path / "set" / "people.csv").write_text(table)
    reader = get_dataset("csv")
    files = reader.open(tmp_path / "set" / "people.csv")
    assert files.names == ("else/b.jpg", "set/people.csv", "set/x/a.jpg")
    found = {entry.key: entry for entry in reader.samples(files)}
    assert found["set/x/a.jpg"] == Sample("set/x/a.jpg", 1, 1)
    assert found["else/b.jpg"] == Sample("else/b.jpg", 2, 2)
    assert set(found) >= {"set/nowhere.jpg", "set/x"}
    assert pickle.loads(pickle.dumps(files)).signature() == files.signature()


def test_a_folder_given_beside_the_file_is_where_paths_begin(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"")
    (tmp_path / "people.csv").write_text("path,age\na.jpg,1\n")
    reader = get_dataset("csv")
    files = reader.open(tmp_path / "people.csv", tmp_path / "pictures")
    assert list(reader.samples(files)) == [Sample("a.jpg", 1, 1)]


def test_columns_under_other_names_are_not_guessed_but_named(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, "path,age,Sex,Gender (m/f),note\na.jpg,3,m,f,x\n", "a.jpg")
    assert note == (
        "faces.csv: not used: the columns Sex, Gender (m/f), note; rename Sex to gender if that is what it is; "
        "rename Gender (m/f) to gender if that is what it is"
    )
    (sample,) = read(tmp_path, "path,age,Sex,Gender (m/f),note\na.jpg,3,m,f,x\n", "a.jpg").values()
    assert sample == Sample("a.jpg", 3, 3)
    (note,) = notes(tmp_path, "path,age,gender,sex\na.jpg,3,m,f\n", "a.jpg")
    assert note == "faces.csv: not used: the column sex"
