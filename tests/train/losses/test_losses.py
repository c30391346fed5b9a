from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from agegender_train.losses import GenderLoss, IntervalAgeLoss

Cases = list[tuple[int, int, float]]
cases: st.SearchStrategy[Cases] = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 30), st.floats(-20, 130, width=32)).map(
        lambda case: (case[0], case[0] + case[1], case[2])
    ),
    min_size=20,
    max_size=60,
)
few = settings(max_examples=20, deadline=None)


def age_losses(rows: Sequence[tuple[float, float, float]], **options: float) -> np.ndarray:
    """The loss of each row of low, high and predicted age."""
    table = ops.convert_to_tensor(np.float32(rows))
    return np.asarray(IntervalAgeLoss(**options).call(table[:, :2], table[:, 2:]))


def age_loss(interval: tuple[float, float], age: float, **options: float) -> float:
    return float(age_losses([(*interval, age)], **options)[0])


@few
@given(cases)
def test_without_pull_it_is_the_distance_to_the_interval(rows: Cases) -> None:
    distances = [max(low - age, 0, age - high) for low, high, age in rows]
    np.testing.assert_allclose(age_losses(rows, pull=0.0), distances, atol=1e-4)


@few
@given(cases)
def test_with_full_pull_it_is_the_error_to_be_expected_of_an_even_age(rows: Cases) -> None:
    expected = []
    for low, high, age in rows:
        half = max((high - low) / 2, 0.5)
        even = (low + high) / 2 + np.linspace(-half, half, 20001)
        expected.append(np.abs(age - even).mean() - half / 2)
    np.testing.assert_allclose(age_losses(rows, pull=1.0, widest=40.0), expected, atol=2e-3)


@few
@given(cases, st.floats(0, 1))
def test_pull_mixes_the_two_and_never_turns_below_zero(rows: Cases, pull: float) -> None:
    ends = [age_losses(rows, pull=end) for end in (0.0, 1.0)]
    mixed = age_losses(rows, pull=pull)
    np.testing.assert_allclose(mixed, (1 - pull) * ends[0] + pull * ends[1], atol=1e-3)
    assert mixed.min() >= -1e-6


def test_an_open_group_draws_to_its_first_years_only() -> None:
    costs = [age_loss((70, 100), age) for age in (70, 77, 84, 90)]
    assert costs[1] == 0
    assert costs[0] == pytest.approx(costs[2]) == pytest.approx(3.5)
    assert costs[3] > costs[2]


def test_a_doubtful_face_gets_the_median_of_its_groups() -> None:
    """Three of five such faces are 20-29, two are 30-39: the median of their ages is 28.3; without pull it is 29."""
    groups = [(20, 30)] * 3 + [(30, 40)] * 2
    grid = np.arange(18, 42, 0.05)

    def best(pull: float) -> float:
        costs = [age_losses([(*group, age) for age in grid], pull=pull) for group in groups]
        return float(grid[np.argmin(np.sum(costs, axis=0))])

    assert best(1.0) == pytest.approx(20 + 10 * 2.5 / 3, abs=0.1)
    assert best(0.0) == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("male", [0.0, 1.0])
def test_gender_loss_is_cross_entropy_inside_and_draws_back_from_outside(male: float) -> None:
    p = np.linspace(-1, 2, 301, dtype=np.float32)
    target = ops.convert_to_tensor(np.full((301, 1), male, np.float32))
    losses = np.asarray(GenderLoss().call(target, ops.convert_to_tensor(p[:, None])))
    right = p if male else 1 - p
    inside = (p > 0.0201) & (p < 0.9799)
    np.testing.assert_allclose(losses[inside], -np.log(right[inside]), rtol=1e-4)
    order = np.argsort(right)
    falling = np.diff(losses[order]) < 0
    assert falling[right[order][1:] < 0.979].all()
    assert not falling[right[order][1:] > 0.99].any()


@pytest.mark.parametrize("loss", [IntervalAgeLoss(0.3, 20.0), GenderLoss(0.1)])
def test_losses_come_back_from_their_config(loss: IntervalAgeLoss | GenderLoss) -> None:
    again = type(loss).from_config(loss.get_config())
    assert vars(again).items() >= {k: v for k, v in vars(loss).items() if isinstance(v, float)}.items()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"pull must be in \[0, 1\], got 2"):
        IntervalAgeLoss(pull=2)
    with pytest.raises(ValueError, match="widest must be at least 1 year, got 0"):
        IntervalAgeLoss(widest=0)
    with pytest.raises(ValueError, match=r"floor must be in \(0, 0.5\), got 0.5"):
        GenderLoss(floor=0.5)
