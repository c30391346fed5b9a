import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import _core, iou

iou_matrix = runpy.run_path(str(Path(__file__).with_name("reference_sort.py")))["iou_matrix"]

BOX = st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.floats(1e-3, 1e4)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
BOXES = st.lists(BOX, max_size=8).map(lambda boxes: np.array(boxes, float).reshape(-1, 4))


@settings(deadline=None)
@given(a=BOXES, b=BOXES)
def test_equals_numpy_and_is_symmetric(a, b):
    ious = _core.iou(a, b)
    assert ious.shape == (len(a), len(b))
    assert ((ious >= 0) & (ious <= 1)).all()
    np.testing.assert_array_equal(_core.iou(b, a).T, ious)
    np.testing.assert_allclose(ious, iou_matrix(a, b), rtol=1e-9, atol=1e-12)
    assert (np.diagonal(_core.iou(a, a)) == 1).all()


def test_known_values():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]])
    np.testing.assert_allclose(_core.iou(boxes[:1], boxes), [[1, 1 / 3, 0, 0.04]], rtol=1e-15)


def test_boxes_without_an_area_overlap_nothing():
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 1, 1], [3, 3, 2, 2]])
    assert _core.iou(boxes, boxes).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_the_largest_boxes_have_an_iou():
    boxes = np.array([[-1e100, -1e100, 1e100, 1e100]])
    assert _core.iou(boxes, boxes).tolist() == [[1]]


def test_the_public_function_takes_what_people_have():
    assert iou([[0, 0, 10, 10]], np.float32([[5, 0, 15, 10]])) == pytest.approx(np.array([[1 / 3]]))
    assert iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    with pytest.raises(ValueError, match=r"b must have shape \(n, 4\) or \(n, 5\), got \(3,\)"):
        iou([[0, 0, 1, 1]], [1, 2, 3])
    with pytest.raises(ValueError, match="a must have finite numbers"):
        iou([[0, 0, np.nan, 1]], [[0, 0, 1, 1]])


def test_a_score_is_not_read():
    boxes = np.array([[0.0, 0, 10, 10, np.nan]])
    assert _core.iou(boxes, boxes).tolist() == [[1]]


def test_bad_boxes_are_named():
    good = np.array([[0.0, 0, 1, 1]])
    for bad in (np.nan, np.inf, 1e101):
        with pytest.raises(ValueError, match=r"b must have finite numbers of at most 1e100, got row 1: "):
            _core.iou(good, np.array([[0.0, 0, 1, 1], [0, bad, 1, 1]]))
    with pytest.raises(ValueError, match=r"a must be of float64 \(n, 4\) or \(n, 5\), got shape \(1, 3\)"):
        _core.iou(np.zeros((1, 3)), good)
    with pytest.raises(ValueError, match="got dtype float32"):
        _core.iou(good.astype(np.float32), good)
    with pytest.raises(TypeError, match="a must be a NumPy array"):
        _core.iou([[0, 0, 1, 1]], good)
