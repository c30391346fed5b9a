from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from agegender_train.losses import (
    AGE_LOSSES,
    GenderLoss,
    IntervalAgeLoss,
    IntervalCrossEntropy,
    LabelDistributionLoss,
    MeanVarianceLoss,
    OrdinalLoss,
    make_age_loss,
)

AGES = np.arange(101)
few = settings(max_examples=15, deadline=None)
intervals = st.tuples(st.integers(0, 100), st.integers(0, 30)).map(lambda ends: (ends[0], min(sum(ends), 100)))


def distribution(seed: int, sharpness: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, sharpness, 101)
    return np.exp(logits) / np.exp(logits).sum()


def value(loss: keras.losses.Loss, interval: tuple[float, float], p: np.ndarray) -> float:
    return float(loss.call(ops.convert_to_tensor(np.float32([interval])), ops.convert_to_tensor(np.float32([p])))[0])


def distance(interval: tuple[float, float]) -> np.ndarray:
    return np.maximum(interval[0] - AGES, 0) + np.maximum(AGES - interval[1], 0)


@few
@given(intervals, st.integers(0, 1000))
def test_cross_entropy_is_minus_the_logarithm_of_what_lies_in_the_interval(
    interval: tuple[float, float], seed: int
) -> None:
    p = distribution(seed)
    # The loss adds a ten-millionth, so that its gradient stays finite.
    inside = p[(interval[0] <= AGES) & (interval[1] >= AGES)].sum() + 1e-7
    assert value(IntervalCrossEntropy(), interval, p) == pytest.approx(-np.log(inside), rel=1e-3, abs=1e-4)
    spread = (np.exp(-((distance(interval) / 3.0) ** 2) / 2) * p).sum() + 1e-7
    assert value(IntervalCrossEntropy(spread=3.0), interval, p) == pytest.approx(-np.log(spread), rel=1e-3, abs=1e-4)
    steps = 10 * (np.diff(p) ** 2).sum()
    smooth = value(IntervalCrossEntropy(smoothness=10.0), interval, p)
    assert smooth == pytest.approx(-np.log(inside) + steps, rel=1e-3, abs=1e-4)


def test_a_fraction_of_a_year_counts_for_both_neighbours() -> None:
    p = distribution(1)
    expected = -np.log(0.75 * p[2] + 0.25 * p[3])
    assert value(IntervalCrossEntropy(), (2.25, 2.25), p) == pytest.approx(expected, rel=1e-4)


@few
@given(intervals, st.integers(0, 1000))
def test_mean_variance_adds_the_papers_two_terms(interval: tuple[float, float], seed: int) -> None:
    p = distribution(seed, 1.0)
    mean = (p * AGES).sum()
    variance = (p * (AGES - mean) ** 2).sum()
    even = np.arange(interval[0], interval[1] + 1).var()
    error = max(interval[0] - mean, 0, mean - interval[1])
    expected = value(IntervalCrossEntropy(), interval, p) + 0.2 * error**2 / 2 + 0.05 * max(variance - even, 0)
    assert value(MeanVarianceLoss(), interval, p) == pytest.approx(expected, rel=1e-3)


@few
@given(intervals, st.integers(0, 1000))
def test_ordinal_asks_of_each_known_threshold_who_is_older(interval: tuple[float, float], seed: int) -> None:
    p, terms = distribution(seed, 1.0), []
    for threshold in range(100):
        older = p[threshold + 1 :].sum()
        if interval[0] > threshold:
            terms.append(-np.log(older))
        elif interval[1] <= threshold:
            terms.append(-np.log(1 - older))
    expected = np.mean(terms) if terms else 0.0
    assert value(OrdinalLoss(), interval, p) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@few
@given(intervals, st.integers(0, 1000))
def test_label_distribution_is_the_divergence_and_the_distance(interval: tuple[float, float], seed: int) -> None:
    p = distribution(seed, 1.0)
    target = np.exp(-((distance(interval) / 2) ** 2) / 2)
    target /= target.sum()
    known = target > 1e-12
    divergence = (target[known] * np.log(target[known] / p[known])).sum()
    mean = (p * AGES).sum()
    expected = divergence + 0.5 * max(interval[0] - mean, 0, mean - interval[1])
    assert value(LabelDistributionLoss(error=0.5), interval, p) == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_expected_age_of_probabilities_is_what_the_error_is_measured_from() -> None:
    p = distribution(3)
    years = np.float32([(p * AGES).sum()])
    loss = IntervalAgeLoss()
    assert value(loss, (20, 29), p) == pytest.approx(value(loss, (20, 29), years), rel=1e-4)


@pytest.mark.parametrize("name", sorted(AGE_LOSSES))
@pytest.mark.parametrize("interval", [(0, 2), (34, 34), (20, 29), (70, 100)])
def test_every_loss_draws_the_expected_age_to_its_interval(name: str, interval: tuple[float, float]) -> None:
    loss = make_age_loss(name, "expected")
    logits = keras.Variable(np.zeros((1, 101), np.float32))
    model = descend(logits, lambda: loss.call(ops.convert_to_tensor(np.float32([interval])), ops.softmax(logits)))
    mean = float((model * AGES).sum())
    assert interval[0] - 1.5 <= mean <= interval[1] + 1.5


@pytest.mark.parametrize("name", sorted(AGE_LOSSES))
def test_no_certainty_makes_a_loss_infinite(name: str) -> None:
    certain = np.zeros(101)
    certain[80] = 1
    for interval in ((0, 2), (80, 80), (100, 100)):
        assert np.isfinite(value(make_age_loss(name, "expected"), interval, certain))


def test_gender_takes_two_probabilities_and_smoothing() -> None:
    two = ops.convert_to_tensor(np.float32([[0.3, 0.7], [0.9, 0.1]]))
    male = ops.convert_to_tensor(np.float32([[1], [1]]))
    np.testing.assert_allclose(np.asarray(GenderLoss(1e-4).call(male, two)), -np.log([0.7, 0.1]), rtol=1e-4)
    smoothed = -0.95 * np.log([0.7, 0.1]) - 0.05 * np.log([0.3, 0.9])
    np.testing.assert_allclose(np.asarray(GenderLoss(1e-4, 0.05).call(male, two)), smoothed, rtol=1e-4)


def test_losses_come_back_from_their_config() -> None:
    for loss in (
        IntervalCrossEntropy(2.0, 10.0),
        MeanVarianceLoss(0.3, 0.1, 1.0, 2.0),
        OrdinalLoss(3.0),
        LabelDistributionLoss(1.0, 0.5, 4.0),
        GenderLoss(0.1, 0.2),
    ):
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_age_loss("l2", "expected"), "age_loss must be one of expected, cross-entropy"),
        (lambda: make_age_loss("ordinal", "years"), "needs a network with a probability for each age"),
        (lambda: make_age_loss("ordinal", "expected", pull=1.0), "age_loss 'ordinal': .*pull"),
        (lambda: IntervalCrossEntropy(spread=-1), "spread must not be negative, got -1"),
        (lambda: LabelDistributionLoss(spread=0), "spread must be above 0, got 0"),
        (lambda: OrdinalLoss(smoothness=-1), "smoothness must not be negative, got -1"),
        (lambda: GenderLoss(smoothing=0.5), r"smoothing must be in \[0, 0.5\), got 0.5"),
    ],
)
def test_wrong_arguments_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def descend(logits: keras.Variable, loss: Callable[[], object]) -> np.ndarray:
    """The probabilities after some steps of Adam on `logits`."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        pytest.skip("takes its gradients from TensorFlow")
    optimizer = keras.optimizers.Adam(0.3)
    optimizer.build([logits])

    @tf.function
    def steps() -> None:
        for _ in tf.range(150):
            with tf.GradientTape() as tape:
                total = ops.sum(loss())
            optimizer.apply([tape.gradient(total, logits.value)], [logits])

    steps()
    probabilities: np.ndarray = np.asarray(ops.softmax(logits))[0]
    return probabilities
