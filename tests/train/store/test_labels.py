from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.store.labels import Labels, parse_age_group


def make_labels(n: int = 3) -> Labels:
    return Labels.from_columns(
        age_low=[30, 3, None][:n],
        age_high=[30, 9, None][:n],
        gender=[1, 0, None][:n],
        group=["White", None, "Black"][:n],
        subject=[None, "anna", None][:n],
        split=["train", "val", None][:n],
        key=["a.jpg", "b.jpg", "c.jpg"][:n],
    )


def test_missing_values_have_their_signs() -> None:
    labels = make_labels()
    assert labels.age_low.dtype == labels.age_high.dtype == np.float32
    assert labels.gender.dtype == np.int8
    np.testing.assert_array_equal(labels.age_low, [30, 3, np.nan])
    assert labels.gender.tolist() == [1, 0, -1]
    assert labels.group.tolist() == ["White", None, "Black"]


def test_age_is_the_middle_of_the_interval_and_exact_only_for_a_single_age() -> None:
    labels = make_labels()
    np.testing.assert_array_equal(labels.age, [30, 6, np.nan])
    assert labels.age_is_exact.tolist() == [True, False, False]


def test_rows_are_picked_from_every_column_alike() -> None:
    labels = make_labels()
    for rows in ([2, 0], np.array([2, 0]), np.array([2, 0], np.int32)):
        picked = labels[rows]
        assert picked.key.tolist() == ["c.jpg", "a.jpg"]
        assert picked.gender.tolist() == [-1, 1]
    assert labels[labels.gender == 0].subject.tolist() == ["anna"]
    assert len(labels[1:]) == 2


def test_concatenation_keeps_order_and_of_nothing_is_empty() -> None:
    labels = make_labels()
    both = Labels.concatenate([labels[:1], labels])
    assert both.key.tolist() == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    empty = Labels.concatenate([])
    assert len(empty) == 0
    assert empty.gender.dtype == np.int8


def test_wrong_columns_are_refused_by_name() -> None:
    labels = make_labels()
    columns = {name: getattr(labels, name) for name in Labels.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"Labels\.gender must be an array of int8, got int64"):
        Labels(**{**columns, "gender": np.zeros(3, np.int64)})
    with pytest.raises(ValueError, match=r"Labels\.key must have shape \(3,\), got \(2,\)"):
        Labels(**{**columns, "key": labels.key[:2]})
    with pytest.raises(ValueError, match="must not be above"):
        Labels(**{**columns, "age_low": np.array([31, 3, np.nan], np.float32)})
    with pytest.raises(ValueError, match="both or none"):
        Labels(**{**columns, "age_low": np.array([30, np.nan, np.nan], np.float32)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-2", (0, 2)),
        ("(25, 32)", (25, 32)),
        ("more than 70", (70, 100)),
        ("60+", (60, 100)),
        (">=70", (70, 100)),
        (" 48 - 53 ", (48, 53)),
        ("23", (23, 23)),
        ("[0.5, 1.5]", (0.5, 1.5)),
        ("35.5", (35.5, 35.5)),
        ("n/a", None),
        ("None", None),
        ("", None),
    ],
)
def test_age_groups_as_datasets_write_them(text: str, expected: tuple[float, float] | None) -> None:
    assert parse_age_group(text) == expected


@pytest.mark.parametrize("text", ["old", "9-3", "3-", "-5", "3-9-12", "more than", "1e3", "3,5", "(3-5", "5, 35"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="age"):
        parse_age_group(text)


@given(st.integers(0, 100), st.integers(0, 100), st.sampled_from(["{}-{}", "({}, {})", "{} to {}", "{} - {}"]))
def test_every_group_is_read_back(low: int, high: int, form: str) -> None:
    low, high = sorted((low, high))
    assert parse_age_group(form.format(low, high)) == (low, high)


@given(st.text(max_size=12))
def test_any_text_gives_an_interval_none_or_a_value_error(text: str) -> None:
    try:
        group = parse_age_group(text)
    except ValueError:
        return
    assert group is None or group[0] <= group[1]
