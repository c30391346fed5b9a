from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree


def day_number(year: int, month: int = 7, day: int = 1) -> int:
    return date(year, month, day).toordinal() + 366  # MATLAB counts from the year 0


PEOPLE = {
    "full_path": ["17/1_1980-07-01_2010.jpg", "17/2_1990-01-01_2000.jpg", "03/3_1970-01-01_2000.jpg"],
    "dob": [day_number(1980), day_number(1990, 1, 1), day_number(1970, 12, 31)],
    "photo_taken": [2010, 2000, 2000],
    "gender": [1.0, 0.0, 1.0],
    "name": ["Brad Pitt", "Emma Watson", ""],
    "face_score": [4.3, 2.0, 1.5],
    "second_face_score": [np.nan, np.nan, np.nan],
    "face_location": [[1.0, 1.0, 634.0, 440.0], [11.5, 21.5, 100.0, 110.0], [1.0, 1.0, 1.0, 1.0]],
}


def make_mat(variable: str = "wiki", compress: bool = False, **changes: Any) -> bytes:
    fields = {name: column for name, column in (PEOPLE | changes).items() if column is not None}
    struct: dict[str, Any] = {}
    for name, column in fields.items():
        if name in ("full_path", "name", "face_location"):
            cell = np.empty((1, len(column)), object)
            for i, value in enumerate(column):
                cell[0, i] = np.array([value]) if name == "face_location" else value
            struct[name] = cell
        else:
            struct[name] = np.array([column])
    file = io.BytesIO()
    scipy.io.savemat(file, {variable: struct}, do_compression=compress)
    return file.getvalue()


def read(folder: Path, data: bytes, *pictures: str, name: str = "wiki") -> dict[str, Sample | Rejection]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.mat").write_bytes(data)
    for picture in pictures:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_bytes(b"")
    entries = list(get_dataset(name).samples(FileTree.open(folder)))
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry for entry in entries}


@pytest.mark.parametrize("compress", [False, True])
def test_age_is_the_year_of_the_picture_minus_the_year_of_birth_and_one_is_male(tmp_path: Path, compress: bool) -> None:
    first, second, third = read(tmp_path, make_mat(compress=compress)).values()
    assert first == Sample(
        "17/1_1980-07-01_2010.jpg", 30, 30, 1, subject="Brad Pitt", known_xyxy=(0, 0, 634, 440)
    )  # [1 1 W H] is the whole picture
    assert second == Sample(
        "17/2_1990-01-01_2000.jpg", 10, 10, 0, subject="Emma Watson", known_xyxy=(10.5, 20.5, 100, 110)
    )
    assert third == Sample("03/3_1970-01-01_2000.jpg", 30, 30, 1)  # no name, no box


def test_the_four_rules_come_in_their_order(tmp_path: Path) -> None:
    rows = 8
    changes: dict[str, Any] = {
        "full_path": [f"00/{i}.jpg" for i in range(rows)],
        "dob": [day_number(1980)] * rows,
        "photo_taken": [1979, 2081, 2080, 1980, 2000, 2000, 2000, 1979],
        "gender": [1, 1, 1, 0, 1, 1, np.nan, np.nan],
        "name": ["x"] * rows,
        "face_score": [1, 1, 1, 1, -np.inf, 1, 1, np.nan],
        "second_face_score": [np.nan, np.nan, np.nan, np.nan, 2.5, 2.5, np.nan, 2.5],
        "face_location": [[1.0, 2.0, 3.0, 4.0]] * rows,
    }
    found = read(tmp_path, make_mat(**changes))
    assert [entry if isinstance(entry, Rejection) else entry.age_low for entry in found.values()] == [
        Rejection("00/0.jpg", "age out of range", "-1"),
        Rejection("00/1.jpg", "age out of range", "101"),
        100,
        0,
        Rejection("00/4.jpg", "no face score", "-inf"),
        Rejection("00/5.jpg", "second face score", "2.5"),
        Rejection("00/6.jpg", "no gender", ""),
        Rejection("00/7.jpg", "age out of range", "-1"),
    ]


@pytest.mark.parametrize("day", [0, -1, -(10**9), 367, 3652425, 4_000_000, 2.0**62, 1e300, -np.inf, np.nan])
def test_dates_that_cannot_be_are_an_age_out_of_range(tmp_path: Path, day: float) -> None:
    changes = {name: column[:1] for name, column in PEOPLE.items()} | {"dob": [day]}
    (entry,) = read(tmp_path, make_mat(**changes)).values()
    assert isinstance(entry, Rejection)
    assert entry.reason == "age out of range"


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)), st.floats(0, 0.999))
def test_the_year_of_birth_is_that_of_the_calendar(born: date, time_of_day: float) -> None:
    from agegender_train.datasets.imdb_wiki import _birth_years

    day = day_number(born.year, born.month, born.day)
    assert _birth_years(np.array([day + time_of_day])).tolist() == [born.year]


def test_pictures_are_matched_wherever_they_are_and_crops_have_the_box_of_crops(tmp_path: Path) -> None:
    cropped = read(tmp_path / "a", make_mat(), "wiki_crop/17/1_1980-07-01_2010.jpg", "wiki_crop/17/stranger.jpg")
    first = cropped["wiki_crop/17/1_1980-07-01_2010.jpg"]
    assert isinstance(first, Sample)
    assert first.known_xyxy is None
    assert first.known_box == pytest.approx((2 / 9, 2 / 9, 7 / 9, 7 / 9))
    assert cropped["wiki_crop/17/stranger.jpg"] == Rejection("wiki_crop/17/stranger.jpg", "not in the label file")
    assert cropped["17/2_1990-01-01_2000.jpg"].known_xyxy is not None  # type: ignore[union-attr]
    inside = read(tmp_path / "wiki_crop", make_mat(), "17/1_1980-07-01_2010.jpg")
    assert inside["17/1_1980-07-01_2010.jpg"].known_box == first.known_box  # type: ignore[union-attr]
    whole = read(tmp_path / "wiki", make_mat(), "17/1_1980-07-01_2010.jpg", "copy/17/1_1980-07-01_2010.jpg")
    assert whole["copy/17/1_1980-07-01_2010.jpg"].reason == "second picture for a label"  # type: ignore[union-attr]
    assert whole["17/1_1980-07-01_2010.jpg"].known_xyxy == (0, 0, 634, 440)  # type: ignore[union-attr]


def test_in_imdb_the_celebrity_is_the_subject_and_one_is_male(tmp_path: Path) -> None:
    paths = ["01/nm0000001_a.jpg", "01/nm0000001_a.jpg", ""]
    data = make_mat("imdb", full_path=paths, celeb_id=[6488, 6488, 7], celeb_names=None)
    found = read(tmp_path, data, name="imdb")
    assert list(found) == ["01/nm0000001_a.jpg", "01/nm0000001_a.jpg#2", "imdb.mat:3"]
    first, second, third = found.values()
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert (first.subject, first.gender, second.subject, second.gender) == ("6488", 1, "6488", 0)
    assert (second.picture, second.file) == ("01/nm0000001_a.jpg", "01/nm0000001_a.jpg")
    assert third == Rejection("imdb.mat:3", "label not understood", "no full_path")


def test_a_gender_that_is_none_is_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, make_mat(gender=[2.0, 0.5, 0.0]))
    assert [entry.value for entry in found.values() if isinstance(entry, Rejection)] == ["gender 2", "gender 0.5"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_mat(gender=None), r"wiki\.mat lacks the field gender of wiki"),
        (make_mat(name=None), r"wiki\.mat lacks the field name of wiki"),
        (make_mat(gender=[1.0, 0.0]), r"must have fields of one length, got .*gender 2"),
        (make_mat(dob=np.zeros((3, 3)).tolist()), r"must have fields of one length, got dob 9"),
        (make_mat("imdb"), r"wiki\.mat must hold the struct wiki, it holds imdb"),
        (make_mat(full_path=PEOPLE["dob"], name=None), "lacks the field name"),
        (make_mat(dob=["a", "b", "c"]), r"wiki\.mat is damaged \(a field that is neither numbers nor a cell"),
        (make_mat(gender=[1j, 2, 3]), "neither numbers nor a cell"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + b" " * 600, r"is a MAT 7\.3 \(HDF5\) file"),
        (b"", r"wiki\.mat is no MAT 5 file"),
        (b"<html>404 Not Found</html>" * 100, r"wiki\.mat is no MAT 5 file"),
        (make_mat()[:-500], r"wiki\.mat is damaged \(it ends in the middle\); is its download complete"),
        (make_mat(compress=True)[:-50], r"wiki\.mat is damaged"),
    ],
)
def test_a_file_of_another_shape_gives_one_clear_error(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, data)


def test_a_cell_where_numbers_belong_and_the_other_way_round(tmp_path: Path) -> None:
    cell = np.empty((1, 3), object)
    cell[0] = ["1", "0", "1"]
    file = io.BytesIO()
    whole = scipy.io.loadmat(io.BytesIO(make_mat()))["wiki"][0, 0]
    struct = {name: whole[name] for name in whole.dtype.names}
    scipy.io.savemat(file, {"wiki": struct | {"gender": cell}})
    with pytest.raises(ValueError, match="must hold numbers in the field gender"):
        read(tmp_path, file.getvalue())
    scipy.io.savemat(file := io.BytesIO(), {"wiki": struct | {"full_path": np.ones((1, 3))}})
    with pytest.raises(ValueError, match="must hold a cell in the field full_path"):
        read(tmp_path, file.getvalue())


def test_what_unpacks_to_more_than_any_label_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_train.datasets._matfile.MAX_FILE_BYTES", 1 << 20)
    packed = zlib.compress(bytes(1 << 24))
    bomb = make_mat()[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed
    with pytest.raises(ValueError, match="it unpacks to more than any label file"):
        read(tmp_path, bomb)


def test_no_mat_file_and_two_that_differ_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no wiki\.mat is in"):
        list(get_dataset("wiki").samples(FileTree.open(tmp_path)))
    with zipfile.ZipFile(tmp_path / "wiki.zip", "w") as archive:
        archive.writestr("wiki/wiki.mat", make_mat())
        archive.writestr("wiki_crop/wiki.mat", make_mat())
    assert len(list(get_dataset("wiki").samples(FileTree.open(tmp_path)))) == 4
    (tmp_path / "wiki.mat").write_bytes(make_mat(gender=[0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match=r"wiki\.mat and wiki/wiki\.mat and wiki_crop/wiki\.mat differ"):
        list(get_dataset("wiki").samples(FileTree.open(tmp_path)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    compress=st.booleans(),
    cut=st.none() | st.integers(0, 2500),
    changes=st.lists(st.tuples(st.integers(120, 2500), st.sampled_from([0, 1, 14, 15, 127, 128, 255])), max_size=8),
)
def test_a_damaged_file_never_does_worse_than_a_value_error(
    tmp_path: Path, compress: bool, cut: int | None, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(make_mat(compress=compress)[:cut])
    for position, value in changes:
        if position < len(data):
            data[position] = value
    try:
        found = read(tmp_path, bytes(data))
    except ValueError:
        return
    assert all(isinstance(entry, Sample | Rejection) for entry in found.values())


@pytest.mark.slow
def test_the_real_wiki_beside_a_count_made_otherwise(shared_data: Path) -> None:
    source = shared_data / "labels" / "wiki" / "wiki.mat"
    entries = list(get_dataset("wiki").samples(FileTree.open(source)))
    assert len(entries) == 62_328

    table = scipy.io.loadmat(source, squeeze_me=True)["wiki"]  # scipy's reader and the calendar of the standard library
    expected: list[str | tuple[int, int, str | None]] = []
    columns = ("dob", "photo_taken", "gender", "face_score", "second_face_score", "name")
    for born, taken, gender, score, second, name in zip(*(table[column].item() for column in columns), strict=True):
        age = int(taken) - (date(1, 1, 1) + timedelta(days=int(born) - 367)).year
        if age < 0 or age > 100:
            expected.append("age out of range")
        elif np.isinf(score) or np.isnan(score):
            expected.append("no face score")
        elif not np.isnan(second):
            expected.append("second face score")
        elif np.isnan(gender):
            expected.append("no gender")
        else:
            expected.append((age, int(gender), str(name).strip() if np.size(name) else None))
    found = [
        entry.reason if isinstance(entry, Rejection) else (entry.age_low, entry.gender, entry.subject)
        for entry in entries
    ]
    assert found == expected
    reasons = Counter(entry.reason for entry in entries if isinstance(entry, Rejection))
    assert reasons == {
        "age out of range": 1698,
        "no face score": 16380,
        "second face score": 4090,
        "no gender": 761,
    }
    assert sum(isinstance(entry, Sample) for entry in entries) == 39_399


@pytest.mark.slow
def test_known_people_of_the_real_wiki_have_their_gender(shared_data: Path) -> None:
    entries = get_dataset("wiki").samples(FileTree.open(shared_data / "labels" / "wiki" / "wiki.mat"))
    samples = [entry for entry in entries if isinstance(entry, Sample) and entry.subject]
    by_name = {sample.subject: sample.gender for sample in samples}
    assert {by_name.get(name, 1) for name in ("Usain Bolt", "Steve Jobs")} == {1}
    women = ("Emma Watson", "Meryl Streep", "Keira Knightley", "Julia Roberts", "Serena Williams", "Natalie Portman")
    assert sum(name in by_name for name in women) >= 3
    assert {by_name.get(name, 0) for name in women} == {0}
    men, women_of = (
        {"John", "Michael", "David", "Robert", "James"},
        {"Mary", "Anna", "Maria", "Elizabeth", "Jennifer"},
    )
    first_names = [((sample.subject or "").split()[0], sample.gender) for sample in samples]
    assert np.mean([gender == 1 for name, gender in first_names if name in men]) > 0.98
    assert np.mean([gender == 0 for name, gender in first_names if name in women_of]) > 0.98
