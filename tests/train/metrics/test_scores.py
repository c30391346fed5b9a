from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_train.metrics import BANDS, Scores
from agegender_train.store.labels import Labels


def labels_of(low: list[float | None], high: list[float | None], gender: list[int | None]) -> Labels:
    nothing = [None] * len(low)
    return Labels.from_columns(
        age_low=low, age_high=high, gender=gender, group=nothing, subject=nothing, split=nothing, key=nothing
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Labels]:
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    low = [None if rng.random() < 0.2 else float(rng.integers(0, 110)) for _ in range(n)]
    high = [value if value is None or rng.random() < 0.5 else value + rng.integers(1, 30) for value in low]
    gender = [None if rng.random() < 0.2 else int(rng.integers(0, 2)) for _ in range(n)]
    return rng.uniform(0, 100, n).astype(np.float32), rng.random(n).astype(np.float32), labels_of(low, high, gender)


@settings(deadline=None, max_examples=50)
@given(cases(), st.integers(0, 10**6))
def test_any_parts_in_any_order_give_the_figures_of_the_whole(case: Any, seed: int) -> None:
    age, p_male, labels = case
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = Scores()
    for rows in np.array_split(order, 5):
        parts = Scores.from_batch(age[rows], p_male[rows], labels[rows]).merge(parts)
    np.testing.assert_allclose(parts.sums, Scores.from_batch(age, p_male, labels).sums, rtol=1e-12, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_figures_are_those_of_numpy(case: Any) -> None:
    age, p_male, labels = case
    figures = Scores.from_batch(age, p_male, labels).compute()
    known, exact, male = ~np.isnan(labels.age_low), labels.age_is_exact, labels.gender >= 0
    error = age.astype(np.float64) - labels.age
    assert (figures["n"], figures["n_age"], figures["n_gender"]) == (len(labels), known.sum(), male.sum())

    def check(name: str, values: np.ndarray) -> None:
        assert figures[name] == (pytest.approx(values.mean()) if len(values) else None), name

    check("age_mae", np.abs(error[exact]))
    check("age_bias", error[exact])
    check("middle_mae", np.abs(error[known]))
    for k in (1, 3, 5, 10):
        check(f"cs{k}", np.abs(error[exact]) <= k)
    inside = np.clip(age[known], labels.age_low[known], labels.age_high[known])
    check("interval_mae", np.abs(age[known] - inside).astype(np.float64))
    group = known & ~exact
    check("group_accuracy", (age[group] >= labels.age_low[group] - 0.5) & (age[group] < labels.age_high[group] + 0.5))
    check("gender_accuracy", (p_male >= 0.5)[male] == labels.gender[male])
    assert sum(band["n"] for band in figures["bands"].values()) == known.sum()


def test_the_spread_of_a_group_counts_as_if_its_ages_were_even() -> None:
    rng = np.random.default_rng(0)
    age = np.float32([33.0])
    ages = rng.uniform(20, 40, 400_000)
    figures = Scores.from_batch(age, age / 100, labels_of([20.0], [40.0], [1])).compute()
    assert figures["age_std"] == pytest.approx(np.sqrt(np.mean((33 - ages) ** 2)), rel=2e-3)


def test_bands_are_by_the_true_age_and_the_last_one_is_open() -> None:
    ages = [0.0, 9.0, 10.0, 99.0, 100.0, 116.0]
    figures = Scores.from_batch(np.float32(ages), np.float32([1] * 6), labels_of(ages, ages, [1] * 6)).compute()
    assert {name: band["n"] for name, band in figures["bands"].items()} == {"0-9": 2, "10-19": 1, "90-99": 1, "100+": 2}
    assert list(figures["bands"]) == [name for name in BANDS if name in figures["bands"]]


def test_nothing_known_gives_no_figures() -> None:
    figures = Scores.from_batch(np.float32([30]), np.float32([0.4]), labels_of([None], [None], [None])).compute()
    assert figures["n"] == 1
    assert all(figures[name] is None for name in ("age_mae", "age_std", "gender_accuracy", "group_accuracy", "cs5"))
    assert figures["bands"] == {}


def test_wrong_predictions_are_refused() -> None:
    labels = labels_of([1.0], [1.0], [1])
    with pytest.raises(ValueError, match=r"age must have shape \(1,\) as the labels, got \(2,\)"):
        Scores.from_batch(np.zeros(2, np.float32), np.zeros(1, np.float32), labels)
    with pytest.raises(ValueError, match="p_male must be finite, got nan"):
        Scores.from_batch(np.zeros(1, np.float32), np.float32([np.nan]), labels)
