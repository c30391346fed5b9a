from __future__ import annotations

from agegender_train.datasets import Rejection, Sample
from agegender_train.preprocessing.losses import find_losses

GROUPS = ((3.0, 9.0), (10.0, 19.0), (20.0, 29.0))


def samples(count: int, low: float, high: float, gender: int | None, start: str = "") -> list[Sample]:
    return [Sample(f"{start}{low}-{i}.jpg", low, high, gender) for i in range(count)]


def unclear(count: int, value: str) -> list[Rejection]:
    return [Rejection(f"{value}-{i}.jpg", "label not understood", value) for i in range(count)]


def test_nothing_is_said_of_single_rejections() -> None:
    entries = [*samples(50, 3, 9, 0), *samples(50, 10, 19, 1), *samples(50, 20, 29, 1)]
    rejected = [Rejection(entry.key, "no face") for entry in entries[::3]]
    assert find_losses([*entries, Rejection("x.jpg", "unreadable", "empty")], rejected, GROUPS) == []
    names = [Rejection(f"in/{i}.jpg", "label not understood", f"{i}.jpg") for i in range(3)]
    assert find_losses([*entries, *names], names, ()) == []  # names that are labels are no values


def test_a_value_of_more_than_a_twentieth_is_named_and_others_are_not() -> None:
    rejected = [*unclear(6, "03 to 09"), *unclear(1, "x"), *samples(0, 0, 0, 0)]
    rejected += [Rejection(f"{i}.png", "no face") for i in range(93)]
    entries = [*samples(5, 3, 9, 0), *samples(5, 10, 19, 1), *samples(5, 20, 29, 1), *rejected]
    (warning,) = find_losses(entries, rejected, GROUPS)
    assert warning == "6 of 115 rows (6.0% of what was left out) are lost to one label: 03 to 09"


def test_an_age_group_of_the_dataset_and_a_gender_that_nobody_has_are_named() -> None:
    rejected = [*unclear(1, "3 bis 9"), *(Rejection(f"{i}.png", "no face") for i in range(99))]
    entries = [*samples(5, 10, 19, 1), *samples(5, 20, 29, 1), *rejected]
    assert find_losses(entries, rejected, GROUPS) == [
        "no label of the age group 3-9 was read; the commonest that was not understood: 3 bis 9",
        "no label of the gender female was read; the commonest that was not understood: 3 bis 9",
    ]


def test_a_class_that_is_wholly_left_out_is_named_with_the_commonest_reason() -> None:
    lost = samples(8, 3, 9, 0)
    entries = [*lost, *samples(8, 10, 19, 1), *samples(4, 20, 29, 0)]
    rejected = [Rejection(entry.key, "no face" if place else "too small") for place, entry in enumerate(lost)]
    assert find_losses(entries, rejected, GROUPS) == [
        "all 8 labels of the age group 3-9 were left out; the commonest reason: no face"
    ]
    few = [Rejection(entry.key, "no face") for entry in entries[-4:]]
    assert find_losses(entries, few, GROUPS) == []  # so few may be lost by chance
