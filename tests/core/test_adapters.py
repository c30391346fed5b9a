"""Faces in the shapes of other libraries; each is read by the library itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from agegender_core import Faces


def faces() -> Faces:
    return Faces(
        np.array([[10, 20, 50, 60], [-3, 0, 9.5, 9.25], [30, 5, 48, 28]], np.float32),
        score=np.array([0.9, 0.8, 0.7], np.float32),
        landmarks=np.array([[[40, 30], [32, 30], [20, 31], [26, 31], [30, 45]]] * 3, np.float32),
        age=np.array([30.5, 8, np.nan], np.float32),
        age_std=np.array([5, 2, np.nan], np.float32),
        age_interval=np.array([[25, 38], [4, 12], [np.nan, 3]], np.float32),
        p_male=np.array([0.25, 0.5, np.nan], np.float32),
        quality=np.array([1, 0.5, 0.25], np.float32),
        track_id=np.array([3, -1, 4], np.int64),
        source="a.jpg",
    )


def boxes_only() -> Faces:
    return Faces(np.zeros((2, 4), np.float32))


# pandas


def test_a_table_of_pandas() -> None:
    table = faces().to_pandas()
    assert list(table.source) == ["a.jpg"] * 3
    assert list(table.right) == [50, 9.5, 48]
    assert list(table.gender[:2]) == ["female", "male"]
    assert table.gender.isna().tolist() == table.age.isna().tolist() == [False, False, True]
    assert table.age_interval_low.tolist()[:2] == [25, 4]
    assert table.age_interval_high.isna().tolist() == [False, False, True]
    assert table.track_id.tolist() == [3, -1, 4]
    assert table.groupby("gender").age.mean().to_dict() == {"female": 30.5, "male": 8}


def test_tables_of_many_pictures_go_together() -> None:
    import pandas

    tables = [faces().to_pandas(), Faces.empty().to_pandas(), boxes_only().to_pandas()]
    kinds = [dict(table.dtypes) for table in tables]
    assert kinds[0] == kinds[1] == kinds[2]
    together = pandas.concat(tables, ignore_index=True)
    assert len(together) == 5
    assert dict(together.dtypes) == kinds[0]


# supervision; its import takes seconds


@pytest.mark.slow
def test_detections_of_supervision() -> None:
    import supervision as sv

    detections = faces().to_supervision()
    assert isinstance(detections, sv.Detections)
    np.testing.assert_array_equal(detections.xyxy, faces().xyxy)
    assert detections.class_id is not None
    assert detections.class_id.tolist() == [0, 1, -1]
    assert detections["class_name"].tolist() == ["female", "male", "unknown"]
    assert detections["age"][0] == 30.5
    men = detections[detections.class_id == 1]
    assert men.tracker_id is not None
    assert (len(men), men.tracker_id.tolist(), men["quality"].tolist()) == (1, [-1], [0.5])
    scene = np.zeros((80, 80, 3), np.uint8)
    drawn = sv.LabelAnnotator().annotate(sv.BoxAnnotator().annotate(scene.copy(), detections), detections)
    assert drawn.any()


@pytest.mark.slow
@pytest.mark.parametrize("made", [Faces.empty, boxes_only])
def test_detections_without_columns(made: type[Faces]) -> None:
    import supervision as sv

    detections = made().to_supervision()
    assert detections.class_id is None
    assert len(detections) == len(made())
    assert len(sv.Detections.merge([detections, detections])) == 2 * len(detections)


# DeepFace


def test_dictionaries_of_deepface() -> None:
    """Keys and types as DeepFace 0.0.103 gives them (deepface/modules/demography.py); its weights can't be had here."""
    first, second, third = faces().to_deepface()
    assert first == {
        "region": {"x": 10, "y": 20, "w": 40, "h": 40, "left_eye": (36, 30), "right_eye": (23, 31)},
        "face_confidence": 0.9,
        "age": 31,
        "gender": {"Woman": 75.0, "Man": 25.0},
        "dominant_gender": "Woman",
    }
    assert type(first["age"]) is int
    assert {type(value) for value in (*first["gender"].values(), first["face_confidence"])} == {float}
    assert {type(first["region"][side]) for side in "xywh"} == {int}
    assert (second["dominant_gender"], second["region"]["x"], second["region"]["w"]) == ("Man", 0, 10)
    assert sorted(third) == ["face_confidence", "region"]
    json.dumps([first, second, third], allow_nan=False)
    assert Faces.empty().to_deepface() == []
    assert replace(faces(), landmarks=None).to_deepface()[0]["region"]["left_eye"] is None


# Without them


def test_none_of_them_is_imported_unasked_and_each_is_named_where_it_is_missing() -> None:
    program = """
import sys
import agegender_core as ag
for name in ("pandas", "supervision", "PIL", "deepface"):
    assert name not in sys.modules, name
    sys.modules[name] = None
for name in ("pandas", "supervision"):
    try:
        getattr(ag.Faces.empty(), f"to_{name}")()
    except ImportError as error:
        assert f"pip install {name} (the extra agegender-core[{name}])" in str(error), error
    else:
        raise AssertionError(name)
ag.Faces.empty().to_deepface()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
