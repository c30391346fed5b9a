from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from agegender_core import Faces, Prediction
from agegender_core.draw import label_of


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
    assert repr(aged) == "Faces(3 faces: 1, 2, 3)"


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


def known() -> Faces:
    return Faces(
        np.array([[10, 20, 50, 60], [0, 0, 9.5, 9.25], [5, 5, 8, 8]], np.float32),
        score=np.array([0.9, 0.8, np.nan], np.float32),
        landmarks=np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        chips=np.zeros((3, 4, 4, 3), np.uint8),
        chip_padding=0.4,
        age=np.array([30.5, 8, np.nan], np.float32),
        age_std=np.array([5, 2, np.nan], np.float32),
        age_interval=np.array([[25, 38], [4, 12], [np.nan, 3]], np.float32),
        p_male=np.array([0.25, 0.5, np.nan], np.float32),
        quality=np.array([1, 0.5, 0.125], np.float32),
    )


def test_each_face_is_a_record_of_plain_numbers() -> None:
    first, second, third = known()
    assert (first.box, first.age, first.age_std, first.age_interval) == ((10, 20, 50, 60), 30.5, 5, (25, 38))
    assert (first.gender, first.p_male, second.gender) == ("female", 0.25, "male")
    assert (third.age, third.age_std, third.age_interval, third.gender, third.p_male, third.score) == (None,) * 6
    assert (first.quality, third.quality, first.track_id) == (1, 0.125, None)
    assert first.landmarks == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
    assert first.chip is not None
    assert first.chip.shape == (4, 4, 3)
    for value in (*first.box, first.score, first.age, first.p_male, first.quality):
        assert type(value) is float
    assert [face.track_id for face in three()] == [7, -1, 9]
    assert repr(first) == "Face(female 31 (25-38), 40 x 40 at 10, 20)"
    assert repr(second) == "Face(male? 8 (4-12), 10 x 9 at 0, 0)"
    assert repr(three()[0]) == "Face(2 x 2 at 0, 1)"


@pytest.mark.parametrize(("age", "shown"), [(30.4, 30), (30.5, 31), (31.5, 32), (0.5, 1)])
def test_an_age_is_the_same_wherever_people_see_it(age: float, shown: int) -> None:
    faces = Faces(
        np.array([[0, 0, 50, 50]], np.float32),
        age=np.array([age], np.float32),
        age_interval=np.array([[age, age]], np.float32),
        p_male=np.array([0.6], np.float32),
    )
    assert label_of(faces, 0) == f"male? {shown}"
    assert repr(faces) == f"Faces(1 face: male? {shown} ({shown}-{shown}))"
    assert faces.to_deepface()[0]["age"] == shown
    page = faces._repr_html_()
    for cell in (str(shown), f"{shown}-{shown}", "male? 60%"):
        assert f"<td>{cell}</td>" in page


def test_rows_by_number_slice_mask_and_indices() -> None:
    faces = known()
    for row, age in ((0, 30.5), (1, 8), (-2, 8), (-3, 30.5), (np.int64(1), 8)):
        assert faces[row].age == age
    for row in (3, -4):
        with pytest.raises(IndexError, match=f"row {row} of 3 faces"):
            faces[row]
    assert faces.age is not None
    for rows in (slice(0, 1), [0], np.array([0]), np.array([True, False, False]), [True, False, False], faces.age > 20):
        assert [face.age for face in faces[rows]] == [30.5]
    assert len(faces[[]]) == len(faces[3:]) == 0
    assert list(Faces.empty()) == []
    assert [face.age for face in faces[::-1]] == [None, 8, 30.5]


def test_what_it_shows_of_itself() -> None:
    assert repr(known()) == "Faces(3 faces: female 31 (25-38), male? 8 (4-12), unknown)"
    assert repr(three()) == "Faces(3 faces)"
    assert repr(Faces.empty()) == "Faces(no faces)"
    assert repr(known()[[0, 0, 1, 0, 1, 0]]).endswith("female 31 (25-38) and 2 more)")
    assert repr(replace(Faces.empty(), error=OSError("gone"))) == "Faces(unreadable: gone)"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda faces: pickle.loads(pickle.dumps(faces))])
def test_copies_are_whole(again: Callable[[Faces], Faces]) -> None:
    faces = replace(known(), picture=np.full((70, 60, 3), 9, np.uint8), source="a.jpg")
    copied = again(faces)
    assert copied.to_dicts() == faces.to_dicts()
    assert repr(copied) == repr(faces)
    assert (copied.source, copied.chip_padding) == ("a.jpg", 0.4)
    assert copied.image is not None
    np.testing.assert_array_equal(copied.image, np.full((70, 60, 3), 9))


numbers = hypothesis.extra.numpy.arrays
anything = st.floats(width=32)


@st.composite
def any_faces(draw: st.DrawFn) -> Faces:
    n = draw(st.integers(0, 4))

    def column(*shape: int) -> Any:
        return draw(st.none() | numbers(np.float32, (n, *shape), elements=anything))

    tracks = draw(st.none() | numbers(np.int64, n, elements=st.integers(-1, 2**62)))
    return Faces(
        draw(numbers(np.float32, (n, 4), elements=anything)),
        score=column(),
        age=column(),
        age_std=column(),
        age_interval=column(2),
        p_male=column(),
        quality=column(),
        landmarks=column(5, 2),
        track_id=tracks,
    )


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(any_faces())
def test_whatever_the_values_dictionaries_are_json(faces: Faces) -> None:
    dicts = faces.to_dicts()
    assert json.loads(json.dumps(dicts, allow_nan=False)) == dicts
    assert len(dicts) == len(faces) == len(list(faces))
    json.dumps(faces.to_deepface(), allow_nan=False)
    assert repr(faces).startswith("Faces(")
    assert faces._repr_html_().startswith("<div>")
