from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.duplicates.agreement import Label, find_conflict, group_by_face, is_same_face, labels_to_drop

AGES = st.tuples(st.integers(0, 6), st.integers(0, 3)).map(lambda age: (float(age[0]), float(age[0] + age[1])))
LABELS = st.builds(
    lambda age, gender: Label(*age, gender), st.one_of(st.just((None, None)), AGES), st.sampled_from([0, 1, None])
)


@pytest.mark.parametrize(
    ("labels", "agree"),
    [
        ([Label(30, 30, 1), Label(30, 30, 1)], True),
        ([Label(30, 30, 1), Label(31, 31, 1)], False),
        ([Label(30, 30, 1), Label(30, 30, 0)], False),
        ([Label(20, 29, 1), Label(24, 24, None)], True),
        ([Label(20, 29, 1), Label(30, 39, 1)], False),
        ([Label(20, 29, 1), Label(22, 22, 1), Label(25, 25, 1)], False),
        ([Label(25, 32, 0), Label(27, 35, 0)], True),
        ([Label(None, None, 1), Label(5, 5, None)], True),
        ([], True),
    ],
)
def test_labels_agree_when_one_age_and_one_gender_fit_all(labels: list[Label], agree: bool) -> None:
    assert (not find_conflict(labels)) is agree


def test_the_label_that_says_most_stays_and_of_equals_the_first() -> None:
    group, known, gendered = Label(20, 29, None), Label(24, 24, None), Label(20, 29, 1)
    assert labels_to_drop([group, group, group]) == {1: (0, False), 2: (0, False)}
    assert labels_to_drop([group, known]) == {0: (1, False)}
    assert labels_to_drop([known, gendered, group]) == {0: (1, False), 2: (1, False)}
    assert labels_to_drop([Label(None, None, None), known]) == {0: (1, False)}
    assert labels_to_drop([known]) == labels_to_drop([]) == {}
    assert labels_to_drop([known, group, Label(40, 40, 0)]) == {0: (1, True), 1: (0, True), 2: (0, True)}


@given(st.lists(LABELS, max_size=6))
def test_all_are_left_out_or_one_stays(labels: list[Label]) -> None:
    left_out = labels_to_drop(labels)
    fits = any(
        all(low is None or low <= age <= high for low, high, _ in labels)  # type: ignore[operator]
        and all(label.gender in (None, gender) for label in labels)
        for age in range(10)
        for gender in (0, 1)
    )
    assert (not find_conflict(labels)) is fits
    assert len(left_out) == (0 if len(labels) < 2 else len(labels) - 1 if fits else len(labels))
    assert all(other != place and conflict is not fits for place, (other, conflict) in left_out.items())


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), True),
        ((0, 0, 10, 10), (0, 0, 10, 20), True),  # an IoU of exactly a half
        ((0, 0, 10, 10), (0, 0, 10, 20.01), False),
        ((0, 0, 10, 10), (10, 0, 20, 10), False),
        ((0, 0, 1, 1), (0.5, 0, 1.5, 1), False),
        ((3, 3, 3, 3), (3, 3, 3, 3), True),  # an empty box is where it is
        ((3, 3, 3, 3), (4, 4, 4, 4), False),
        (None, (0, 0, 10, 10), True),
        ((math.nan,) * 4, (0, 0, 10, 10), True),
        (None, None, True),
    ],
)
def test_boxes_that_overlap_by_half_or_are_unknown_are_of_one_face(
    first: Sequence[float] | None, second: Sequence[float] | None, same: bool
) -> None:
    assert is_same_face(first, second) is is_same_face(second, first) is same


def test_labels_are_grouped_by_face_and_those_without_a_box_go_with_the_largest() -> None:
    small, large, larger = (0, 0, 9, 9), (20, 0, 40, 20), (20, 0, 40, 21)
    assert group_by_face([small, large, (0, 1, 9, 10), larger]) == [[0, 2], [1, 3]]
    assert group_by_face([None, small, None, large]) == [[0, 2, 3], [1]]
    assert group_by_face([None, None]) == [[0, 1]]
    assert group_by_face([]) == []
