import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from agegender_core import _core

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12)


def assert_best(cost, maximize=False):
    columns = _core.linear_assignment(cost, maximize)
    assert columns.shape == (len(cost),)
    assert columns.dtype == np.int64
    rows = np.flatnonzero(columns >= 0)
    picked = columns[rows]
    assert (columns >= -1).all()
    assert len(rows) == min(cost.shape)
    assert len(set(picked)) == len(picked)
    assert (picked < max(cost.shape[1], 1)).all()
    best = cost[linear_sum_assignment(cost, maximize)].sum()
    scale = abs(cost).max(initial=1)
    np.testing.assert_allclose(cost[rows, picked].sum(), best, rtol=0, atol=1e-9 * scale)


@settings(deadline=None, max_examples=300)
@given(cost=hnp.arrays(np.float64, SHAPES, elements=st.floats(-1e6, 1e6)), maximize=st.booleans())
def test_total_equals_scipys(cost, maximize):
    assert_best(cost, maximize)


@settings(deadline=None, max_examples=300)
@given(cost=hnp.arrays(np.float64, SHAPES, elements=st.integers(-2, 2).map(float)), maximize=st.booleans())
def test_total_equals_scipys_with_ties(cost, maximize):
    assert_best(cost, maximize)


@pytest.mark.parametrize("shape", [(120, 120), (40, 150), (150, 40), (1, 200), (200, 1)])
def test_larger_ones(shape):
    rng = np.random.default_rng(0)
    assert_best(rng.random(shape))
    assert_best(np.where(rng.random(shape) < 0.9, 0, rng.random(shape)), maximize=True)
    assert_best(np.add.outer(rng.random(shape[0]), rng.random(shape[1])))  # every solution is as good


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape):
    assert _core.linear_assignment(np.zeros(shape)).tolist() == [-1] * shape[0]


def test_input_is_left_alone():
    cost = np.array([[1.0, 2], [3, 1], [0, 0]])
    kept = cost.copy()
    assert sorted(_core.linear_assignment(cost, maximize=True)) == [-1, 0, 1]
    np.testing.assert_array_equal(cost, kept)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e201])
def test_what_is_not_finite_is_named(bad):
    cost = np.zeros((3, 4))
    cost[2, 1] = bad
    with pytest.raises(ValueError, match=r"cost must hold finite numbers.* at \(2, 1\)"):
        _core.linear_assignment(cost)


@pytest.mark.parametrize(
    "bad", [np.zeros(3), np.zeros((2, 2), np.float32), np.zeros((2, 2), int), np.zeros((4, 4))[::2]]
)
def test_another_dtype_shape_or_order_is_refused(bad):
    with pytest.raises(ValueError, match="cost must be"):
        _core.linear_assignment(bad)
