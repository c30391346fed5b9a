from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agegender_core import Faces, Prediction


def three() -> Faces:
    xyxy = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Faces(xyxy=xyxy, score=np.array([3, 2, 1], np.float32), track_id=np.array([7, -1, 9], np.int64))


def test_rows_stay_together() -> None:
    picked = three()[np.array([True, False, True])]
    assert len(picked) == 2
    assert picked.score is not None
    assert picked.score.tolist() == [3, 1]
    assert picked.track_id is not None
    assert picked.track_id.tolist() == [7, 9]
    assert picked.age is None


def test_columns_are_replaced_in_a_copy() -> None:
    faces = three()
    aged = faces.with_columns(age=np.array([1, 2, 3], np.float32))
    assert faces.age is None
    assert aged.xyxy is faces.xyxy
    assert repr(aged) == "Faces(n=3, xyxy, score, age, track_id)"


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("age", np.zeros(2, np.float32), "2 rows, but there are 3 boxes"),
        ("age", np.zeros(3), "array of float32, got float64"),
        ("landmarks", np.zeros((3, 10), np.float32), r"shape \(n, 5, 2\), got \(3, 10\)"),
        ("chips", np.zeros((3, 8, 8), np.uint8), r"shape \(n, S, S, 3\)"),
        ("age_probs", np.zeros((3, 100), np.float32), r"shape \(n, 101\)"),
        ("track_id", np.zeros(3, np.int32), "array of int64"),
        ("score", [1, 2, 3], "got list"),
    ],
)
def test_wrong_columns_are_named(column: str, value: object, why: str) -> None:
    with pytest.raises(ValueError, match=rf"Faces\.{column}.*{why}"):
        three().with_columns(**{column: value})


def test_empty() -> None:
    assert len(Faces.empty()) == 0


@pytest.mark.parametrize("kind", ["faces", "prediction"])
def test_the_former_names_of_the_interval_still_work_and_say_the_new_one(kind: str) -> None:
    years = np.array([30, 40], np.float32)
    interval = np.array([[20, 41], [33, 50]], np.float32)
    if kind == "faces":
        made = Faces(xyxy=np.zeros((2, 4), np.float32), age=years, age_interval=interval)
    else:
        made = Prediction(years, years, years, None, interval)
    with pytest.warns(DeprecationWarning, match=r"age_low is now called age_interval\[:, 0\]"):
        assert made.age_low.tolist() == [20, 33]
    with pytest.warns(DeprecationWarning, match=r"age_high is now called age_interval\[:, 1\]"):
        assert made.age_high.tolist() == [41, 50]
    with pytest.warns(DeprecationWarning, match="age_high"):
        assert replace(made, age_interval=None).age_high is None


def test_each_face_on_its_own() -> None:
    faces = Faces(np.arange(12, dtype=np.float32).reshape(3, 4), age=np.array([10, 20, 30], np.float32))
    assert [len(face) for face in faces] == [1, 1, 1]
    assert [float(face.age[0]) for face in faces if face.age is not None] == [10, 20, 30]
    for row, age in ((0, 10), (2, 30), (-1, 30), (-3, 10), (np.int64(1), 20)):
        face = faces[row]
        assert face.xyxy.shape == (1, 4)
        assert face.age is not None
        assert face.age.tolist() == [age]
    for row in (3, -4):
        with pytest.raises(IndexError, match=f"row {row} of 3 faces"):
            faces[row]
    assert list(Faces.empty()) == []
