from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from agegender_core.predict import Prediction
from agegender_train.metrics import Outcomes, age_groups, compare, estimate, nearest_group
from agegender_train.metrics.outcomes import WeightedFigures, weighted_median
from agegender_train.metrics.resampling import clusters_of, resamples
from agegender_train.metrics.scores import BANDS
from agegender_train.store.labels import Labels

FAIRFACE = [(0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 100)]
ADIENCE = [(0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100)]


def labels_of(n: int, rng: np.random.Generator, **columns: Any) -> Labels:
    low = [float(value) for value in rng.integers(0, 100, n)]
    nothing = [None] * n
    there = {
        "age_low": low,
        "age_high": low,
        "gender": [int(value) for value in rng.integers(0, 2, n)],
        "group": nothing,
        "subject": nothing,
        "split": nothing,
        "key": [f"{row}.jpg" for row in range(n)],
    }
    return Labels.from_columns(**{**there, **columns})


def outcomes_of(n: int, seed: int, error: float = 8.0, **columns: Any) -> Outcomes:
    rng = np.random.default_rng(seed)
    labels = labels_of(n, np.random.default_rng(n), **columns)
    age = np.float32(np.clip(np.nan_to_num(labels.age, nan=40.0) + rng.normal(0, error, n), 0, 100))
    # Few different values, so that there are ties.
    p_male = np.float32(np.clip(np.round(rng.normal(np.where(labels.gender == 1, 0.6, 0.4), 0.2), 1), 0, 1))
    interval = np.stack([age - 9, age + 9], axis=1)
    return Outcomes.from_batch(Prediction(age, np.full(n, 5.0, np.float32), p_male, None, interval), labels)


many = settings(deadline=None, max_examples=40)


@many
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_figures_are_those_of_numpy_and_scikit_learn(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gender = [None if rng.random() < 0.2 else int(rng.integers(0, 2)) for _ in range(n)]
    age = [None if rng.random() < 0.2 else float(rng.integers(0, 100)) for _ in range(n)]
    outcomes = outcomes_of(n, seed, gender=gender, age_low=age, age_high=age)
    figures = outcomes.compute()
    known = np.array([value is not None for value in age])
    if known.any():
        error = np.abs(outcomes.prediction.age.astype(np.float64) - outcomes.labels.age)[known]
        assert figures["age_median"] == pytest.approx(np.median(error), abs=1e-12)
        assert figures["age_mae"] == pytest.approx(error.mean(), rel=1e-12)
    else:
        assert figures["age_median"] is None
    told = np.array([value is not None for value in gender])
    truth = outcomes.labels.gender[told]
    if len(set(truth.tolist())) == 2:
        p_male = outcomes.prediction.p_male[told]
        assert figures["gender_auc"] == pytest.approx(roc_auc_score(truth, p_male), abs=1e-12)
        assert figures["gender_balanced"] == pytest.approx(balanced_accuracy_score(truth, p_male >= 0.5), abs=1e-12)
    else:
        assert figures["gender_auc"] is None
        assert figures["gender_balanced"] is None


@many
@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 10**6))
def test_any_parts_in_any_order_give_the_figures_of_the_whole(n: int, parts: int, seed: int) -> None:
    outcomes = outcomes_of(n, seed)
    rows = np.array_split(np.random.default_rng(seed).permutation(n), min(parts, n))
    merged = outcomes[rows[0]].merge(*(outcomes[part] for part in rows[1:]))
    whole, figures = outcomes.compute(), merged.compute()
    assert whole.keys() == figures.keys()
    for name, value in whole.items():
        assert figures[name] == (None if value is None else pytest.approx(value, rel=1e-12, abs=1e-12)), name


@many
@given(st.integers(1, 30), st.integers(0, 10**6))
def test_weights_are_as_good_as_copies(n: int, seed: int) -> None:
    outcomes = outcomes_of(n, seed)
    counts = np.random.default_rng(seed).integers(0, 4, n)
    counts[0] += 1
    weighted = WeightedFigures(outcomes)(counts[None].astype(np.float64))
    copies = WeightedFigures(outcomes[np.repeat(np.arange(n), counts)])(np.ones((1, counts.sum())))
    for name, values in copies.items():
        np.testing.assert_allclose(weighted[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_median_of_nothing_is_none() -> None:
    assert np.isnan(weighted_median(np.array([1.0, 2.0]), np.zeros((1, 2)))).all()
    assert np.isnan(weighted_median(np.zeros(0), np.zeros((2, 0)))).all()


@pytest.mark.parametrize("groups", [FAIRFACE, ADIENCE])
def test_an_age_within_a_group_is_nearest_to_it(groups: list[tuple[float, float]]) -> None:
    for index, (low, high) in enumerate(groups):
        assert nearest_group(np.array([low, high, (low + high) / 2]), groups).tolist() == [index] * 3
    # Between 32 and 38 the border is half way.
    if groups is ADIENCE:
        assert nearest_group(np.array([34.9, 35.1]), groups).tolist() == [4, 5]


def test_exact_and_one_off_accuracy_of_groups() -> None:
    low, high = zip(*FAIRFACE, strict=True)
    labels = labels_of(9, np.random.default_rng(0), age_low=list(low), age_high=list(high))
    age = np.float32([1, 12, 15, 41, 35, 45, 20, 65, 64])  # three right, four a group off, two further
    figures = Outcomes.from_batch(Prediction(age, age, np.full(9, 0.5, np.float32)), labels).compute()
    right = [True, False, True, False, True, True, False, True, False]
    near = [True, True, True, False, True, True, False, True, True]
    assert age_groups(labels) == [(float(a), float(b)) for a, b in FAIRFACE]
    assert figures["group_exact"] == pytest.approx(np.mean(right))
    assert figures["group_one_off"] == pytest.approx(np.mean(near))


def test_groups_that_overlap_have_no_neighbours() -> None:
    labels = labels_of(2, np.random.default_rng(0), age_low=[0, 5], age_high=[9, 14])
    assert age_groups(labels) == []
    age = np.float32([3, 7])
    assert Outcomes.from_batch(Prediction(age, age, age / 10), labels).compute()["group_exact"] is None


def test_people_are_drawn_and_not_pictures() -> None:
    labels = labels_of(6, np.random.default_rng(0), subject=["a", "b", "a", None, None, "b"])
    assert clusters_of(labels).tolist() == [0, 1, 0, 2, 3, 1]
    drawn = np.concatenate(list(resamples(clusters_of(labels), rounds=120)))
    assert drawn.shape == (120, 6)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 2])
    np.testing.assert_array_equal(drawn[:, 1], drawn[:, 5])
    # Four people are drawn each time, with two, two, one and one picture.
    assert set((drawn @ np.array([0.5, 0.5, 0.5, 1, 1, 0.5])).tolist()) == {4.0}
    again = np.concatenate(list(resamples(clusters_of(labels), rounds=120)))
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.slow
def test_intervals_hold_the_true_figure_about_as_often_as_they_say() -> None:
    # The mean absolute error of a normal error is sigma * sqrt(2 / pi).
    truth, held = 8 * np.sqrt(2 / np.pi), 0
    age = [40.0] * 150
    for seed in range(60):
        figures = estimate(outcomes_of(150, seed, age_low=age, age_high=age), rounds=200)
        low, high = figures["intervals"]["age_mae"]
        held += low <= truth <= high
        assert low < figures["age_mae"] < high
    assert 51 <= held <= 60


def test_parts_and_the_gap_between_the_best_and_the_worst() -> None:
    n = 400
    rng = np.random.default_rng(3)
    group = [("A", "B", "C")[row % 3] for row in range(n)]
    outcomes = outcomes_of(n, 1, error=0.0, group=group)
    worse = outcomes.prediction.age + np.float32(
        np.where(np.array(group) == "C", rng.normal(0, 20, n), rng.normal(0, 3, n))
    )
    prediction = Prediction(np.float32(worse), outcomes.prediction.age_std, outcomes.prediction.p_male)
    traits = {"size": np.arange(n, dtype=np.float64), "box_from": np.array(["detected", "known"] * (n // 2), object)}
    report = estimate(Outcomes.from_batch(prediction, outcomes.labels, traits), rounds=100)
    groups = report["parts"]["group"]
    assert {name: part["n"] for name, part in groups.items()} == {"A": 134, "B": 133, "C": 133}
    error = np.abs(prediction.age.astype(np.float64) - outcomes.labels.age)
    for name, part in groups.items():
        assert part["age_mae"] == pytest.approx(error[np.array(group) == name].mean())
        assert part["intervals"]["age_mae"][0] < part["age_mae"] < part["intervals"]["age_mae"][1]
    gap = report["gaps"]["group"]["age_mae"]
    assert gap["worst"] == "C"
    assert gap["gap"] == pytest.approx(groups["C"]["age_mae"] - groups[gap["best"]]["age_mae"])
    assert 5 < gap["interval"][0] < gap["gap"] < gap["interval"][1]
    assert [part["n"] for part in report["parts"]["size"].values()] == [80] * 5
    assert {name: part["n"] for name, part in report["parts"]["box"].items()} == {"detected": 200, "known": 200}
    assert sum(part["n"] for part in report["parts"]["gender and band"].values()) == n
    predicted = report["parts"]["predicted band"]
    assert {name: part["n"] for name, part in predicted.items()} == {
        name: count
        for number, name in enumerate(BANDS)
        if (count := int((np.clip(prediction.age // 10, 0, 10) == number).sum()))
    }
    thirties = (prediction.age >= 30) & (prediction.age < 40)
    assert predicted["30-39"]["age_mae"] == pytest.approx(error[thirties].mean())


def test_a_single_face_has_figures() -> None:
    report = estimate(outcomes_of(1, 0), rounds=10)
    assert report["n"] == 1
    assert report["gaps"] == {}
    assert report["gender_auc"] is None


def test_the_better_model_is_found_though_both_vary_more_than_they_differ() -> None:
    n = 500
    base = outcomes_of(n, 1, error=10.0)
    true = base.labels.age
    nearer = np.float32(true + (base.prediction.age - true) * 0.95)
    better = Outcomes.from_batch(Prediction(nearer, nearer, base.prediction.p_male), base.labels)
    found = compare({"base": base, "better": better}, rounds=200)
    gain = found.between("better", "base")["age_mae"]
    assert gain.gain == pytest.approx(gain.second - gain.first)
    assert gain.gain == pytest.approx(0.05 * gain.second, rel=1e-3)
    assert gain.is_clear
    assert not found.between("better", "base")["gender_accuracy"].is_clear
    back = found.between("base", "better")["age_mae"]
    assert back.interval is not None
    assert gain.interval is not None
    assert back.interval == pytest.approx((-gain.interval[1], -gain.interval[0]))
    assert found.ranks("age_mae") == [("better", 1), ("base", 2)]
    assert found.ranks("gender_accuracy") == [("base", 1), ("better", 1)]


def test_only_faces_that_all_models_predicted_are_compared() -> None:
    base = outcomes_of(40, 1)
    found = compare({"one": base[np.arange(30)], "other": base[np.arange(39, 9, -1)]}, rounds=10)
    assert found.n == 20
    assert found.between("one", "other")["age_mae"].gain == pytest.approx(0)
    with pytest.raises(ValueError, match="none in common"):
        compare({"one": base[np.arange(5)], "other": base[np.arange(5, 9)]})


def test_two_faces_of_one_picture_are_told_apart() -> None:
    base = outcomes_of(8, 1)
    labels = labels_of(8, np.random.default_rng(8), key=["a.jpg"] * 4 + ["b.jpg"] * 4)
    both = Outcomes.from_batch(base.prediction, labels, {"face": np.array([0, 1, 2, 3] * 2, np.int16)})
    assert compare({"one": both, "other": both[np.arange(7, -1, -1)]}, rounds=5).n == 8
