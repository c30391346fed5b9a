import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import _core

TextbookFilter = runpy.run_path(str(Path(__file__).with_name("reference_sort.py")))["TextbookFilter"]


def assert_same(ours, textbook, tolerance=1e-9):
    np.testing.assert_allclose(ours.state, textbook.x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(ours.covariance, textbook.P, rtol=tolerance, atol=tolerance)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    seen=st.lists(st.booleans(), max_size=60),
    size=st.floats(5, 1000),
    speed=st.floats(0, 20),
)
def test_equals_the_full_filter(seed, seen, size, speed):
    rng = np.random.default_rng(seed)
    box = np.array([0, 0, size, size * 1.5]) + np.tile(rng.uniform(0, 1000, 2), 2)
    velocity = np.tile(rng.normal(0, speed, 2), 2)
    ours, textbook = _core.KalmanBoxFilter(box), TextbookFilter(box)
    assert_same(ours, textbook)
    for step, measured in enumerate(seen, 1):
        expected = ours.predict()
        textbook.predict()
        np.testing.assert_array_equal(ours.box, expected)
        if measured:
            noisy = box + step * velocity + rng.normal(0, size / 100, 4)
            ours.update(noisy)
            textbook.update(noisy)
        assert_same(ours, textbook)
        np.testing.assert_allclose(ours.box, textbook.box, rtol=1e-9, atol=1e-9)


def test_an_area_that_would_vanish_stands_still():
    ours, textbook = (make(np.array([0.0, 0, 100, 100])) for make in (_core.KalmanBoxFilter, TextbookFilter))
    for size in (70.0, 30.0):
        for each in (ours, textbook):
            each.predict()
            each.update(np.array([0, 0, size, size]))
    assert ours.state[6] < 0
    for _ in range(5):
        ours.predict()
        textbook.predict()
        assert_same(ours, textbook)
    assert ours.state[6] == 0
    assert (ours.box[2:] > ours.box[:2]).all()


def test_a_bad_box_changes_nothing():
    ours = _core.KalmanBoxFilter(np.array([0.0, 0, 10, 10]))
    before = ours.state
    for bad in ([0.0, 0, np.nan, 1], [5.0, 0, 5, 1], [0, 5.0, 1, 4]):
        with pytest.raises(ValueError, match="box must have"):
            ours.update(np.array(bad))
        with pytest.raises(ValueError, match="box must have"):
            _core.KalmanBoxFilter(np.array(bad))
    np.testing.assert_array_equal(ours.state, before)


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((1, 4)), np.zeros(4, np.float32)])
def test_wrong_shape_or_dtype(bad):
    with pytest.raises(ValueError, match="box must be"):
        _core.KalmanBoxFilter(bad)
