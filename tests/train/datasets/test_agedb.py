from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.datasets import Rejection, Sample, get_dataset
from agegender_train.datasets.archive_readers import Entry
from agegender_train.datasets.archives import FileTree


def read(*names: str) -> dict[str, Sample | Rejection]:
    files = FileTree((), {name: Entry(name, 0, None, bytes) for name in names}, 0)
    return {entry.key: entry for entry in get_dataset("agedb").samples(files)}


def test_known_people_have_their_age_and_gender_and_are_the_subject() -> None:
    woman, man, other = "AgeDB/0_MariaCallas_35_f.jpg", "AgeDB/5000_SeanConnery_101_m.jpg", "AgeDB/cover.jpg"
    found = read(woman, man, other, "AgeDB/readme.txt")
    assert found == {
        woman: Sample(woman, 35, 35, 0, subject="MariaCallas"),
        man: Sample(man, 101, 101, 1, subject="SeanConnery"),
        other: Rejection(other, "label not understood", "cover.jpg"),
    }


@pytest.mark.parametrize(
    "name", ["0_MariaCallas_35_x.jpg", "MariaCallas_35_f.jpg", "0_MariaCallas__f.jpg", "0__35_f.jpg", "0_A_1000_f.jpg"]
)
def test_names_that_say_nothing_sure_are_rejected(name: str) -> None:
    assert read(name, "0_MariaCallas_35_f.jpg")[name] == Rejection(name, "label not understood", name)


names = st.text("abcÅé .'-_", min_size=1).filter(lambda name: not name.endswith("_"))


@given(st.integers(0, 99999), names, st.integers(0, 120), st.sampled_from("mf"))
def test_every_name_is_read_back(number: int, subject: str, age: int, gender: str) -> None:
    name = f"{number}_{subject}_{age}_{gender}.jpg"
    assert read(name) == {name: Sample(name, age, age, int(gender == "m"), subject=subject)}


@given(st.text("019_mf. aé/\n", max_size=20))
def test_any_name_is_a_sample_or_a_rejection(name: str) -> None:
    good, other = "0_MariaCallas_35_f.jpg", f"a/{name}x.jpg"
    assert set(read(good, other)) == {good, other}


def test_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no picture is named like 0_MariaCallas_35_f\.jpg"):
        read("holiday.jpg")
