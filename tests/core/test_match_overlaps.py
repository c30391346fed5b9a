"""What the trackers match by: pairs of boxes with the greatest total IoU, as an assignment over all pairs has it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from agegender_core import _core


def crowd(seed, count, extent, whole=False):
    """Boxes whose corners lie in a field of that width and height."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 1, (count, 2)) * extent, rng.uniform(5, 60, (count, 2))
    if whole:  # so that many overlap alike
        corner, side = corner.round(-1), side.round(-1) + 10
    return np.hstack([corner, corner + side])


def assert_best(a, b):
    columns = _core.match_overlaps(a, b)
    assert columns.shape == (len(a),)
    assert columns.dtype == np.int64
    rows = np.flatnonzero(columns >= 0)
    picked = columns[rows]
    assert len(set(picked)) == len(picked)
    ious = _core.iou(a, b)
    assert (ious[rows, picked] > 0).all()
    best = ious[linear_sum_assignment(ious, maximize=True)].sum()
    np.testing.assert_allclose(ious[rows, picked].sum(), best, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    extent=st.sampled_from([(100, 100), (400, 400), (2000, 30), (30, 2000)]),
    whole=st.booleans(),
)
def test_total_is_that_of_an_assignment_over_all_pairs(seed, sizes, extent, whole):
    assert_best(crowd(seed, sizes[0], extent, whole), crowd(seed + 1, sizes[1], extent, whole))


@pytest.mark.parametrize("sizes", [(400, 400), (100, 500), (500, 100), (1, 300), (300, 1)])
def test_larger_crowds(sizes):
    assert_best(crowd(0, sizes[0], (600, 400)), crowd(1, sizes[1], (600, 400)))


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_match(sizes):
    a, b = crowd(0, sizes[0], (9, 9)), crowd(0, sizes[1], (9, 9))
    assert _core.match_overlaps(a, b).tolist() == [-1] * sizes[0]


def test_another_dtype_shape_or_number_is_refused():
    good = crowd(0, 3, (9, 9))
    for bad in (good.astype(np.float32), good[:, :3], good.ravel(), np.full((1, 4), np.nan)):
        with pytest.raises(ValueError, match="b must"):
            _core.match_overlaps(good, bad)
