from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.datasets import Rejection, Sample, available, get_dataset
from agegender_train.datasets.archive_readers import Entry
from agegender_train.datasets.archives import FileTree


def read(folder: Path, *names: str) -> dict[str, Sample | Rejection]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return {entry.key: entry for entry in get_dataset("utkface").samples(FileTree.open(folder))}


def tree(*names: str) -> FileTree:
    entries = {name: Entry(name, 0, None, bytes) for name in names}
    return FileTree((), entries, 0)


def test_zero_means_male_there_and_one_means_male_here(tmp_path: Path) -> None:
    found = read(tmp_path, "26_0_2_20170116175947641.jpg", "54_1_0_20170109142905822.jpg")
    man, woman = found["26_0_2_20170116175947641.jpg"], found["54_1_0_20170109142905822.jpg"]
    assert man == Sample("26_0_2_20170116175947641.jpg", 26, 26, gender=1, group="Asian")
    assert woman == Sample("54_1_0_20170109142905822.jpg", 54, 54, gender=0, group="White")


@pytest.mark.parametrize(
    ("name", "age", "gender", "group"),
    [
        ("61_1_20170109142408075.jpg.chip.jpg", 61, 0, None),  # no race
        ("61_3_20170109150557335.jpg.chip.jpg", 61, None, "Indian"),  # 3 is no gender: no gender
        ("53__0_20170116184028385.jpg", 53, None, "White"),  # empty gender
        ("24_20170116220224657.jpg", 24, None, None),  # neither
        ("55_0_0_20170116232725357jpg.chip.jpg", 55, 1, "White"),  # no dot
        ("44_1_4_20170116235150272.pg.chip.jpg", 44, 0, "Others"),
        ("39_1_20170116174525125.jpg", 39, 0, None),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 24, 1, "Black"),
        ("44_1_4_20170116235150272.pg", 44, 0, "Others"),  # as it is in the wild
        ("55_0_0_20170116232725357jpg", 55, 1, "White"),
        ("100_1_0_20170110183726390.jpg", 100, 0, "White"),
        ("38_0_1_201701162330572788.jpg", 38, 1, "Black"),  # a digit too many
        ("30_4_9_20170116235150272.jpg", 30, None, None),  # nonsense in both
        ("116_1_2_20170112220255503.jpg", 116, 0, "Asian"),  # is rejected later, by the rule for all datasets
    ],
)
def test_slips_in_names(tmp_path: Path, name: str, age: int, gender: int | None, group: str | None) -> None:
    sample = read(tmp_path, name)[name]
    assert isinstance(sample, Sample)
    assert (sample.age_low, sample.age_high, sample.gender, sample.group) == (age, age, gender, group)


def test_names_that_say_nothing_sure_are_rejected_and_other_files_ignored(tmp_path: Path) -> None:
    good = "part1/3_1_2_20161219190200060.jpg"
    found = read(tmp_path, good, "me.jpg", "1_2_3_4_20161219190200060.jpg", "a_1_2_20161219190200060.png", "readme.txt")
    assert set(found) == {good, "me.jpg", "1_2_3_4_20161219190200060.jpg", "a_1_2_20161219190200060.png"}
    for key in set(found) - {good}:
        rejection = found[key]
        assert isinstance(rejection, Rejection)
        assert rejection.reason == "label not understood"


def test_only_aligned_pictures_have_a_known_box(tmp_path: Path) -> None:
    wild, chip = "3_1_2_20161219190200060.jpg", "3_1_2_20161219190200060.jpg.chip.jpg"
    found = read(tmp_path, wild, chip)
    assert found[wild].known_box is None  # type: ignore[union-attr]
    assert found[chip].known_box == (0.075, 0.075, 0.97, 0.97)  # type: ignore[union-attr]


@given(
    age=st.integers(0, 120),
    gender=st.sampled_from([0, 1]),
    group=st.integers(0, 4),
    date=st.integers(10**16, 10**17 - 1),
    suffix=st.sampled_from([".jpg", ".JPG", ".jpg.chip.jpg", ".pg.chip.jpg", "jpg.chip.jpg", " .jpg", "jpg", ".pg"]),
    folder=st.sampled_from(["", "part1/", "UTKFace/part 3/"]),
)
def test_every_whole_name_is_read_back(age: int, gender: int, group: int, date: int, suffix: str, folder: str) -> None:
    name = f"{folder}{age}_{gender}_{group}_{date}{suffix}"
    (sample,) = get_dataset("utkface").samples(tree(name))
    assert isinstance(sample, Sample)
    assert (sample.key, sample.age_low, sample.age_high) == (name, age, age)
    assert sample.gender == 1 - gender
    assert sample.group == ["White", "Black", "Asian", "Indian", "Others"][group]


@given(st.text("0123_. aj/p٣g\n", max_size=30).filter(lambda name: not name.startswith("/")))
def test_any_name_is_a_sample_a_rejection_or_no_picture(name: str) -> None:
    good = "1_0_0_20161219190200060.jpg"
    entries = list(get_dataset("utkface").samples(tree(good, name + ".jpg", name)))
    assert len(entries) == len({entry.key for entry in entries})
    for entry in entries:
        if isinstance(entry, Sample):
            assert entry.age_low == entry.age_high
            assert entry.age_low is not None
            assert 0 <= entry.age_low <= 999
        else:
            assert entry.reason == "label not understood"


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no picture is named like age_gender_race_date\.jpg"):
        read(tmp_path, "holiday.jpg")


def test_readers_are_found_by_name_and_tell_about_themselves() -> None:
    names = ["adience", "agedb", "appa-real", "appa-real-apparent", "csv", "fairface", "fgnet", "imdb", "lagenda"]
    assert list(available()) == [*names, "utkface", "wiki"]
    for name, reader in available().items():
        assert reader.name == name
        assert reader.title
        assert reader.licence
        assert reader.layout
        assert reader.url.startswith("https://")
    with pytest.raises(ValueError, match=r"dataset must be one of .*fairface.*utkface.*, got 'nothing'"):
        get_dataset("nothing")


def test_the_real_archive(shared_data: Path) -> None:
    entries = list(get_dataset("utkface").samples(FileTree.open(shared_data / "utkface" / "UTKFace.tar")))
    assert len(entries) == len({entry.key for entry in entries}) == 7883
    samples = [entry for entry in entries if isinstance(entry, Sample)]
    assert len(samples) == 7883
    assert sum(sample.age_high is not None and sample.age_high > 100 for sample in samples) == 8
    assert {sample.gender for sample in samples} == {0, 1}
