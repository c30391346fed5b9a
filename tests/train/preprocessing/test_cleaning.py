from __future__ import annotations

import hashlib
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing.cleaning import check_label, find_duplicates


def clean(samples: list[Sample], files: FileTree) -> list[Rejection]:
    heard: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as executor:
        found = find_duplicates(samples, files, executor, lambda *n: heard.append(n))
    assert not heard or heard[-1][0] == heard[-1][1]
    return found


def write(folder: Path, **contents: bytes) -> FileTree:
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return FileTree.open(folder)


def test_of_equal_copies_with_equal_labels_the_first_stays(tmp_path: Path) -> None:
    files = write(tmp_path, a=b"same", b=b"same", c=b"same", d=b"diff", e=b"other")
    samples = [Sample(key, 30, 30, 1, group) for key, group in zip("cabde", "vwxyz", strict=True)]
    assert clean(samples, files) == [Rejection("a", "duplicate", "c"), Rejection("b", "duplicate", "c")]


@pytest.mark.parametrize("other", [Sample("b", 31, 31, 1), Sample("b", 30, 30, 0), Sample("b", 20, 29, 1)])
def test_of_equal_copies_with_other_ages_or_genders_none_stays(tmp_path: Path, other: Sample) -> None:
    files = write(tmp_path, a=b"same", b=b"same", c=b"same")
    assert clean([Sample("a", 30, 30, 1), other, Sample("c", 30, 30, 1)], files) == [
        Rejection("a", "conflicting labels", "b"),
        Rejection("b", "conflicting labels", "a"),
        Rejection("c", "conflicting labels", "a"),
    ]


def test_copies_are_found_between_an_archive_and_loose_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed", b"same")
        archive.writestr("packed2", b"emas")
    files = write(tmp_path, loose=b"same")
    samples = [Sample(key, 30, 30, 1) for key in files.names]
    assert clean(samples, files) == [Rejection("packed", "duplicate", "loose")]


def test_only_files_of_equal_size_and_sum_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write(tmp_path, a=b"1", b=b"22", c=b"33")
    read: list[str] = []
    plain = FileTree.read
    monkeypatch.setattr(FileTree, "read", lambda self, name: read.append(name) or plain(self, name))
    assert clean([Sample(key, 30, 30, 1) for key in "abc"], files) == []
    assert sorted(read) == ["b", "c"]


def test_unreadable_files_are_no_copies_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "b").symlink_to("nowhere")
    assert clean([Sample("a", 1, 1, 1), Sample("b", 2, 2, 1)], FileTree.open(tmp_path)) == []


@settings(deadline=None)  # it writes files
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 1, None])), max_size=12))
def test_equals_the_obvious_way(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[tuple[int, int, int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("copies")
    samples = [Sample(f"{i:02}", age, age, gender) for i, (_, age, gender) in enumerate(pictures)]
    contents = {sample.key: bytes([picture[0]]) for sample, picture in zip(samples, pictures, strict=True)}
    found = {rejection.key: rejection.reason for rejection in clean(samples, write(folder, **contents))}
    for i, sample in enumerate(samples):
        copies = [(j, other) for j, other in enumerate(samples) if contents[other.key] == contents[sample.key]]
        genders = {other.gender for _, other in copies} - {None}
        conflict = len(genders) > 1 or len({other.age_low for _, other in copies}) > 1
        fullest = [j for j, other in copies if other.gender is not None] or [j for j, _ in copies]
        expected = "conflicting labels" if conflict else None if i == fullest[0] else "duplicate"
        assert found.get(sample.key) == expected


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Sample("a", 0, 0, 1), None),
        (Sample("a", 100, 100, None), None),
        (Sample("a", None, None, 0), None),
        (Sample("a", 70, 100, 0), None),
        (Sample("a", 101, 101, 0), "age out of range"),
        (Sample("a", -1, 3, 0), "age out of range"),
        (Sample("a", float("nan"), float("nan"), 0), "age out of range"),
        (Sample("a"), "neither age nor gender"),
    ],
)
def test_labels_of_no_use(sample: Sample, reason: str | None) -> None:
    rejection = check_label(sample)
    assert (rejection and rejection.reason) == reason


def test_all_conflicts_of_the_real_utkface_are_found(shared_data: Path) -> None:
    files = FileTree.open(shared_data / "utkface" / "UTKFace.tar")
    samples = [entry for entry in get_dataset("utkface").samples(files) if isinstance(entry, Sample)]
    labels = defaultdict(list)
    for sample in samples:  # the slow, obvious way
        age, gender = sample.key.split("/")[1].split("_")[:2]
        labels[hashlib.sha256(files.read(sample.key)).hexdigest()].append((age, gender))
    conflicts = sum(len(found) for found in labels.values() if len(set(found)) > 1)
    copies = sum(len(found) - 1 for found in labels.values() if len(set(found)) == 1)
    reasons = [rejection.reason for rejection in clean(samples, files)]
    assert reasons.count("conflicting labels") == conflicts == 160
    assert reasons.count("duplicate") == copies


def test_two_faces_of_one_picture_are_no_copies_and_a_picture_that_is_not_there_is_none(tmp_path: Path) -> None:
    files = write(tmp_path, a=b"same", b=b"same")
    samples = [
        Sample("a", 30, 30, 1, known_xyxy=(0, 0, 9, 9)),
        Sample("a#2", 60, 60, 0, known_xyxy=(20, 0, 29, 9), picture="a"),
        Sample("a#3", 5, 5, 0, known_xyxy=(20, 0, 29, 9), picture="a"),
        Sample("b", 31, 31, 1, known_xyxy=(0, 1, 9, 10)),
        Sample("absent", 5, 5, 0),
    ]
    assert clean(samples, files) == [
        Rejection("a", "conflicting labels", "b"),
        Rejection("b", "conflicting labels", "a"),
        Rejection("a#2", "conflicting labels", "a#3"),
        Rejection("a#3", "conflicting labels", "a#2"),
    ]


def test_a_label_without_a_box_is_read_as_of_the_largest_face(tmp_path: Path) -> None:
    files = write(tmp_path, a=b"same", b=b"same")
    samples = [
        Sample("a", 30, 30, 1, known_xyxy=(0, 0, 9, 9)),
        Sample("a#2", 60, 60, 0, known_xyxy=(20, 0, 39, 19), picture="a"),
        Sample("b", 60, 60, None),
        Sample("b#2", 60, 60, None, known_box=(0, 0, 0.1, 0.1), picture="b"),  # in another unit: as good as none
    ]
    assert clean(samples, files) == [Rejection("b", "duplicate", "a#2"), Rejection("b#2", "duplicate", "a#2")]


def test_two_labels_of_one_file_are_compared_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(tmp_path, a=b"one", b=b"other")
    monkeypatch.setattr(FileTree, "read", lambda self, name: pytest.fail("was read"))
    samples = [Sample("a", 30, 30, None), Sample("b", 1, 1, 1), Sample("a#2", 25, 35, 1, picture="a")]
    assert clean(samples, files) == [Rejection("a", "duplicate", "a#2")]
