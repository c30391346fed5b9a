from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.duplicates.agreement import Label, labels_agree, sort_out

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
    assert labels_agree(labels) is agree


def test_the_label_that_says_most_stays_and_of_equals_the_first() -> None:
    group, known, gendered = Label(20, 29, None), Label(24, 24, None), Label(20, 29, 1)
    assert sort_out([group, group, group]) == {1: (0, False), 2: (0, False)}
    assert sort_out([group, known]) == {0: (1, False)}
    assert sort_out([known, gendered, group]) == {0: (1, False), 2: (1, False)}
    assert sort_out([Label(None, None, None), known]) == {0: (1, False)}
    assert sort_out([known]) == sort_out([]) == {}
    assert sort_out([known, group, Label(40, 40, 0)]) == {0: (1, True), 1: (0, True), 2: (0, True)}


@given(st.lists(LABELS, max_size=6))
def test_all_are_left_out_or_one_stays(labels: list[Label]) -> None:
    left_out = sort_out(labels)
    fits = any(
        all(low is None or low <= age <= high for low, high, _ in labels)  # type: ignore[operator]
        and all(label.gender in (None, gender) for label in labels)
        for age in range(10)
        for gender in (0, 1)
    )
    assert labels_agree(labels) is fits
    assert len(left_out) == (0 if len(labels) < 2 else len(labels) - 1 if fits else len(labels))
    assert all(other != place and conflict is not fits for place, (other, conflict) in left_out.items())
