"""Records: plain, finite, complete."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_core.faces import Faces
from agegender_core.pipeline import FrameResult
from agegender_core.records import face_records, finite, frame_record, gender_of


def faces(**columns: object) -> Faces:
    boxes = np.array([[1.234, 2.346, 100.999, 200.5], [-3, 0, 10, 11]], np.float32)
    return Faces(
        **{
            "xyxy": boxes,
            "score": np.array([1.23456, 0.2], np.float32),
            "age": np.array([31.4159, 7.5], np.float32),
            "age_std": np.array([6.987, 2], np.float32),
            "p_male": np.array([0.98766, 0.25], np.float32),
            **columns,
        }
    )


def test_a_picture_gives_these_keys_and_plain_numbers() -> None:
    first, second = face_records(faces())
    assert first == {
        "box": [1.23, 2.35, 101.0, 200.5],
        "score": 1.2346,
        "age": 31.42,
        "age_std": 6.99,
        "age_interval": None,
        "gender": "male",
        "p_male": 0.9877,
        "quality": None,
    }
    assert second["gender"] == "female"
    assert list(second) == list(first)
    assert {type(value) for value in (*first["box"], first["score"], first["age"])} == {float}


def test_the_interval_is_told_where_there_is_one() -> None:
    bounds = {"age_interval": np.array([[21.005, 44.5], [np.nan, 9]], np.float32)}
    first, second = face_records(faces(**bounds))
    assert first["age_interval"] == [21.0, 44.5]
    assert second["age_interval"] is None


def test_tracks_and_raw_values_are_added_where_they_are() -> None:
    tracked = faces(track_id=np.array([4, -1]))
    raw = faces(age=np.array([29, 8], np.float32), p_male=np.array([0.4, np.nan], np.float32))
    first, second = face_records(tracked, raw=raw)
    assert (first["track_id"], first["raw"]) == (4, {"age": 29.0, "p_male": 0.4})
    assert (second["track_id"], second["raw"]) == (-1, {"age": 8.0, "p_male": None})
    assert type(first["track_id"]) is int


def test_what_is_not_known_is_none() -> None:
    boxes = np.array([[0, 0, 5, 5]], np.float32)
    (record,) = face_records(Faces(xyxy=boxes, track_id=np.array([3])), raw=Faces(xyxy=boxes))
    assert record == {
        "box": [0.0, 0.0, 5.0, 5.0],
        "score": None,
        "age": None,
        "age_std": None,
        "age_interval": None,
        "gender": None,
        "p_male": None,
        "quality": None,
        "track_id": 3,
        "raw": {"age": None, "p_male": None},
    }
    assert face_records(Faces.empty()) == []


def test_raw_must_have_the_same_rows() -> None:
    with pytest.raises(ValueError, match="the 2 rows of faces, got 0"):
        face_records(faces(), raw=Faces.empty())


@given(*[st.floats(width=32, allow_nan=True, allow_infinity=True)] * 3)
def test_any_number_gives_valid_json(age: float, p_male: float, edge: float) -> None:
    one = Faces(
        xyxy=np.array([[edge, 0, 5, 5]], np.float32),
        age=np.array([age], np.float32),
        p_male=np.array([p_male], np.float32),
    )
    assert json.loads(json.dumps(face_records(one), allow_nan=False))[0]["box"][1:] == [0.0, 5.0, 5.0]


@given(st.floats(0, 1, width=32))
def test_the_word_agrees_with_the_number_beside_it(p_male: float) -> None:
    (record,) = face_records(Faces(xyxy=np.zeros((1, 4), np.float32), p_male=np.array([p_male], np.float32)))
    assert record["gender"] == gender_of(record["p_male"])


def test_a_frame() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    record = frame_record(FrameResult(7, 0.28000001, image, faces(track_id=np.array([1, 2])), faces()))
    assert (record["frame"], record["time"], len(record["faces"])) == (7, 0.28, 2)
    assert record["faces"][1]["raw"] == {"age": 7.5, "p_male": 0.25}


def test_what_json_does_not_have_becomes_none() -> None:
    assert finite({"a": [float("nan"), 1.0, "x"], "b": float("inf"), "c": None}) == {
        "a": [None, 1.0, "x"],
        "b": None,
        "c": None,
    }
