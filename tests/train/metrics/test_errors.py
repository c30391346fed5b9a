from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agegender_core.quality import frontality
from agegender_train.metrics import Scores, age_deviation, age_error, gender_error
from agegender_train.metrics.errors import interval_distance
from agegender_train.store.labels import Labels

LABELS = Labels.from_columns(
    age_low=[10, 0, None, 20, 70],
    age_high=[10, 2, None, 29, 100],
    gender=[1, 0, 1, None, 0],
    group=[None] * 5,
    subject=[None] * 5,
    split=[None] * 5,
    key=list("abcde"),
)
AGE = np.float32([15, 1, 40, 33, 50])
P_MALE = np.float32([0.9, 0.8, 0.5, 0.5, 0.1])


def test_an_age_is_off_by_its_distance_to_the_labels_interval() -> None:
    np.testing.assert_array_equal(age_error(LABELS, AGE), [5, 0, np.nan, 4, 20])
    np.testing.assert_array_equal(age_deviation(LABELS, AGE), [5, 0, np.nan, 8.5, -35])


def test_a_gender_is_off_by_the_probability_of_the_other() -> None:
    np.testing.assert_allclose(gender_error(LABELS, P_MALE), [0.1, 0.8, 0.5, np.nan, 0.1], rtol=1e-6)


@given(st.lists(st.tuples(*[st.floats(0, 100, width=32)] * 3), min_size=1))
def test_the_distance_is_that_of_a_plain_loop(rows: list[tuple[float, float, float]]) -> None:
    ages, lows, highs = (np.array(column) for column in zip(*((a, *sorted((b, c))) for a, b, c in rows), strict=True))
    plain = [max(low - age, age - high, 0) for age, low, high in zip(ages, lows, highs, strict=True)]
    np.testing.assert_array_equal(interval_distance(ages, lows, highs), plain)


def test_the_figures_are_means_of_these_errors() -> None:
    found = Scores.from_batch(AGE, P_MALE, LABELS).compute()
    assert found["interval_mae"] == np.nanmean(age_error(LABELS, AGE))
    assert found["middle_mae"] == np.nanmean(np.abs(age_deviation(LABELS, AGE)))
    right = 1 - gender_error(LABELS, P_MALE)
    assert found["gender_nll"] == -np.nanmean(np.log(right))


def test_frontality_falls_to_0_where_the_nose_is_below_an_eye() -> None:
    eyes = [(60, 40), (50, 40), (10, 40), (20, 40)]
    noses = (35, 25, 15)
    points = np.array([[*eyes, (nose, 60)] for nose in noses], np.float32)
    found = frontality(points)
    np.testing.assert_allclose(found, [1, 0.5, 0], atol=1e-12)
    assert math.isnan(frontality(np.full((1, 5, 2), np.nan))[0])
