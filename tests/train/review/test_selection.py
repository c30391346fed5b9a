from __future__ import annotations

import numpy as np
import pytest

from agegender_train.metrics import age_error, gender_error
from agegender_train.review.selection import Selection
from agegender_train.store.labels import Labels

LABELS = Labels.from_columns(
    age_low=[10, 0, None, 20, 70],
    age_high=[10, 2, None, 29, 100],
    gender=[1, 0, 1, None, 0],
    group=["x", "y", "x", None, "x"],
    subject=[None] * 5,
    split=[None] * 5,
    key=list("abcde"),
)
DATASETS = np.array(["one", "one", "two", "two", "two"], np.object_)
STATES = np.array([0, 1, 2, 3, 0], np.uint8)
AGE = np.float32([15, 1, 40, 33, 50])
P_MALE = np.float32([0.9, 0.8, 0.5, 0.5, 0.1])


def rows(**asked: str) -> list[int]:
    errors = {"age-error": age_error(LABELS, AGE), "gender-error": gender_error(LABELS, P_MALE)}
    return Selection(**asked).rows(LABELS, DATASETS, STATES, errors).tolist()


def test_filters_are_joined() -> None:
    assert rows() == [0, 1, 2, 3, 4]
    assert rows(ages="0-20") == [0, 1]
    assert rows(ages="24-25") == rows(ages="20-29") == [3]  # the middle of 20 to 29 is 24.5
    assert rows(ages="10") == [0]
    assert rows(ages="more than 60") == [4]
    assert rows(ages="missing") == [2]
    assert rows(gender="m") == [0, 2]
    assert rows(gender="f") == [1, 4]
    assert rows(gender="missing") == [3]
    assert rows(dataset="two", group="x") == [2, 4]
    assert rows(dataset="two", group="x", state="undecided") == [4]
    assert [rows(state=state) for state in ("accepted", "rejected", "corrected")] == [[1], [2], [3]]
    assert rows(group="nobody") == []


def test_the_farthest_from_the_model_come_first_and_missing_labels_last() -> None:
    assert rows(order="age-error") == [4, 0, 3, 1, 2]
    assert rows(order="gender-error") == [1, 2, 0, 4, 3]
    assert rows(order="age") == [1, 0, 3, 4, 2]
    assert Selection(order="age-error").rows(LABELS, DATASETS, STATES, {}).tolist() == [0, 1, 2, 3, 4]


def test_an_address_says_what_was_chosen() -> None:
    selection = Selection(ages="0-20", gender="missing", group="a & b", order="age")
    assert selection.to_query() == "?ages=0-20&gender=missing&group=a+%26+b&order=age"
    assert Selection().to_query() == ""
    assert Selection.from_query({"ages": "0-20", "gender": "", "order": "age", "utm": "x"}) == Selection(
        ages="0-20", order="age"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ages": "young"}, "an age must look like"),
        ({"ages": "20-10"}, "must not end before it starts"),
        ({"ages": "none"}, "ages must look like"),
        ({"gender": "x"}, "gender must be one of m, f, missing, got 'x'"),
        ({"state": "done"}, "state must be one of"),
        ({"order": "random"}, "order must be one of"),
    ],
)
def test_nonsense_is_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection(**asked)
