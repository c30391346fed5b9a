"""Decoding: every member of a head does what the module says, alone and on top of the others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core.decoding import Curve, Decoder, age_quantile
from agegender_core.model_file import with_untrained

YEARS: dict[str, Any] = {"output": "a", "decode": "years", "std": 6.5}
EXPECTED: dict[str, Any] = {"output": "a", "decode": "expected"}
PROBABILITY: dict[str, Any] = {"output": "g", "decode": "probability"}
SOFTMAX: dict[str, Any] = {"output": "g", "decode": "softmax"}
AGES = np.arange(101)
INTERVAL = {"level": 0.9, "at": [20.0, 60.0], "below": [5.0, 9.0], "above": [10.0, 30.0]}


def decode(age: dict[str, Any], values: Any, gender: dict[str, Any] = PROBABILITY, p: Any = None) -> Any:
    values = np.asarray(values, np.float32)
    outputs = {"a": values, "g": np.full((len(values), 1), 0.5, np.float32) if p is None else np.asarray(p, np.float32)}
    return Decoder({"age": age, "gender": gender})(outputs)


def distributions(seed: int, n: int = 7) -> np.ndarray:
    """Rows with one or two bumps somewhere, sharp or flat."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.3, (n, 101))
    for _ in range(2):
        middle, width = rng.uniform(0, 100, (n, 1)), rng.uniform(0.5, 20, (n, 1))
        logits += rng.uniform(1, 12, (n, 1)) * np.exp(-(((AGES - middle) / width) ** 2))
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(st.floats(1, 25), st.floats(0.5, 10))
def test_temperature_divides_the_logits(width: float, temperature: float) -> None:
    """In the middle of the scale, where flattening moves no mean."""
    logits = -0.5 * ((AGES - 50) / width) ** 2
    probs = np.exp(logits) / np.exp(logits).sum()
    got = decode({**EXPECTED, "temperature": temperature}, probs[None]).age_probs
    want = np.maximum(probs.astype(np.float32).astype(np.float64), 1e-38) ** (1 / temperature)
    np.testing.assert_allclose(got[0], want / want.sum(), atol=2e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.3, 10))
def test_temperature_leaves_the_age(seed: int, temperature: float) -> None:
    probs = distributions(seed)
    plain, tempered = decode(EXPECTED, probs), decode({**EXPECTED, "temperature": temperature}, probs)
    np.testing.assert_allclose(tempered.age, plain.age, atol=2e-3)
    np.testing.assert_allclose(tempered.age_probs.sum(axis=1), 1, atol=1e-5)
    # In logits, what was added to the tempered ones is a straight line.
    logs = np.log(np.maximum(tempered.age_probs, 1e-30)) - np.log(probs) / temperature
    bends = np.abs(np.diff(logs, 2))
    assert bends[(tempered.age_probs > 1e-6)[:, 1:-1] & (tempered.age_probs > 1e-6)[:, 2:]].max() < 0.05


def test_temperature_leaves_the_age_of_each_of_many() -> None:
    """A row that has its mean stays while others, of other widths, are still sought."""
    widths, means = np.meshgrid(np.linspace(0.7, 30, 40), np.linspace(0, 100, 60))
    probs = np.exp(-0.5 * ((AGES - means.reshape(-1, 1)) / widths.reshape(-1, 1)) ** 2)
    probs /= probs.sum(axis=1, keepdims=True)
    tempered = decode({**EXPECTED, "temperature": 9.0}, probs)
    np.testing.assert_allclose(tempered.age, decode(EXPECTED, probs).age, atol=2e-3)


def test_certain_ages_stay_certain() -> None:
    probs = np.eye(101)[[0, 30, 100]]
    for temperature in (0.3, 3.0):
        prediction = decode({**EXPECTED, "temperature": temperature}, probs)
        np.testing.assert_allclose(prediction.age, [0, 30, 100], atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.001, 0.999), st.floats(0.2, 10), st.floats(-3, 3))
def test_both_gender_heads_are_tempered_alike(p: float, temperature: float, bias: float) -> None:
    fitted = {"temperature": temperature, "bias": bias}
    one = decode(YEARS, [[30]], {**PROBABILITY, **fitted}, [[p]]).p_male
    two = decode(YEARS, [[30]], {**SOFTMAX, **fitted}, [[1 - p, p]]).p_male
    want = 1 / (1 + np.exp(-(np.log(p / (1 - p)) / temperature + bias)))
    np.testing.assert_allclose([one[0], two[0]], [want, want], atol=1e-4)


def test_a_certain_gender_stays_a_number() -> None:
    p = decode(YEARS, [[30]] * 3, {**PROBABILITY, "temperature": 2.0}, [[0], [1.25], [-0.5]]).p_male
    np.testing.assert_allclose(p, [0.0099, 0.9901, 0.0099], atol=1e-4)


def test_equal_distributions_are_left_as_they_are() -> None:
    probs = distributions(1)
    prediction = decode(EXPECTED, probs)
    np.testing.assert_array_equal(prediction.age_probs, probs)
    assert prediction.age_interval is None


@st.composite
def corrections(draw: st.DrawFn) -> dict[str, list[float]]:
    at = sorted(draw(st.sets(st.integers(0, 100), min_size=1, max_size=8)))
    years = sorted(draw(st.lists(st.floats(0, 100), min_size=len(at), max_size=len(at))))
    return {"at": at, "years": years}  # type: ignore[dict-item]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), corrections())
def test_a_corrected_distribution_is_one(seed: int, correction: dict[str, list[float]]) -> None:
    prediction = decode({**EXPECTED, "correction": correction}, distributions(seed))
    np.testing.assert_allclose(prediction.age_probs.sum(axis=1), 1, atol=1e-5)
    assert prediction.age_probs.min() >= 0
    np.testing.assert_allclose(prediction.age, prediction.age_probs @ AGES, rtol=1e-5)


def test_the_identity_corrects_nothing() -> None:
    probs = distributions(3)
    identity = {"at": [0, 100], "years": [0, 100]}
    np.testing.assert_allclose(decode({**EXPECTED, "correction": identity}, probs).age_probs, probs, atol=1e-6)
    assert decode({**YEARS, "correction": identity}, [[31.5]]).age.tolist() == [31.5]


def test_a_correction_moves_the_ages_of_a_distribution() -> None:
    stretched = {"at": [0, 20, 60, 100], "years": [0, 20, 80, 100]}
    smooth = np.exp(-0.5 * ((AGES - 40) / 6.0) ** 2)
    prediction = decode({**EXPECTED, "correction": stretched}, [smooth / smooth.sum()])
    assert prediction.age[0] == pytest.approx(50, abs=0.1)
    assert prediction.age_std[0] == pytest.approx(9, abs=0.1)
    # No gaps between the ages: it has one top.
    rising = np.diff(prediction.age_probs[0]) > 1e-7
    assert np.flatnonzero(~rising & (AGES[1:] > 25))[0] >= 24
    assert decode({**YEARS, "correction": stretched}, [[40], [10], [150]]).age.tolist() == [50, 10, 100]


def test_spread_is_by_the_corrected_age() -> None:
    spread = {"at": [10, 50], "years": [2, 10]}
    assert decode({**YEARS, "spread": spread}, [[0], [30], [90]]).age_std.tolist() == [2, 6, 10]
    correction = {"at": [0, 100], "years": [10, 100]}
    assert decode({**YEARS, "spread": spread, "correction": correction}, [[0]]).age_std.tolist() == [2]


def test_the_interval_of_years() -> None:
    prediction = decode({**YEARS, "interval": INTERVAL}, [[3], [20], [40], [95]])
    np.testing.assert_allclose(prediction.age_interval, [[0, 13], [15, 30], [33, 60], [86, 100]])


def test_the_interval_of_a_distribution_starts_from_its_quantiles() -> None:
    probs = np.zeros((1, 101))
    probs[0, 30:50] = 0.05
    prediction = decode({**EXPECTED, "interval": {**INTERVAL, "below": [0, 0], "above": [1, 1]}}, probs)
    np.testing.assert_allclose(prediction.age_interval[0], [30.5, 49.5], atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(-30, 30), st.floats(-30, 30))
def test_an_interval_holds_its_age(seed: int, below: float, above: float) -> None:
    interval = {"level": 0.9, "at": [50], "below": [below], "above": [above]}
    for head, values in ((EXPECTED, distributions(seed)), (YEARS, np.random.default_rng(seed).uniform(0, 120, (9, 1)))):
        prediction = decode({**head, "interval": interval}, values)
        low, high = prediction.age_interval.T
        assert (low <= prediction.age).all()
        assert (prediction.age <= high).all()
        assert low.min() >= 0
        assert (high <= np.maximum(prediction.age, 100)).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_quantiles_have_their_probability_below_them(seed: int, level: float) -> None:
    probs = distributions(seed)
    for row, age in zip(probs.astype(np.float64), age_quantile(probs, level), strict=True):
        below = np.clip(age - (AGES - 0.5), 0, 1)
        assert (row * below).sum() == pytest.approx(level, abs=2e-4)


def test_no_rows() -> None:
    for head, width in ((EXPECTED, 101), (YEARS, 1)):
        prediction = decode({**head, "interval": INTERVAL}, np.empty((0, width)))
        assert prediction.age.shape == prediction.p_male.shape == (0,)
        assert prediction.age_interval.shape == (0, 2)


@pytest.mark.parametrize(
    ("age", "gender", "why"),
    [
        ({}, PROBABILITY, "head 'age' must be decoded as one of years, expected"),
        ({"decode": "years", "std": 3}, PROBABILITY, "head 'age' must be decoded"),
        ({"output": "a", "decode": "years"}, PROBABILITY, "no 'std' in years"),
        (EXPECTED, {"output": "g", "decode": "guess"}, "head 'gender' must be decoded as one of probability, softmax"),
        ({**EXPECTED, "temperature": 0}, SOFTMAX, "'temperature' must be a number above 0, got 0"),
        (EXPECTED, {**SOFTMAX, "temperature": float("nan")}, "'temperature' must be a number above 0"),
        (EXPECTED, {**SOFTMAX, "bias": float("inf")}, "'bias' must be a finite number"),
        (EXPECTED, {**SOFTMAX, "trained": "no"}, "'trained' of head 'gender' must be true or false, got 'no'"),
        ({**EXPECTED, "correction": {"at": [0, 1], "years": [5, 3]}}, SOFTMAX, "'correction' must not fall"),
        ({**EXPECTED, "correction": [1, 2]}, SOFTMAX, "'correction' must hold numbers under 'at' and 'years'"),
        ({**YEARS, "spread": {"at": [3, 3], "years": [1, 2]}}, SOFTMAX, "'spread' must have 'at' rising"),
        ({**YEARS, "spread": {"at": [], "years": []}}, SOFTMAX, "'spread' must have 'at' rising"),
        ({**YEARS, "interval": {**INTERVAL, "below": [1.0]}}, SOFTMAX, "'interval' must have 'at' rising"),
        ({**YEARS, "interval": {**INTERVAL, "level": 90}}, SOFTMAX, "'level' between 0 and 1, got 90"),
        (
            {**YEARS, "interval": {"level": 0.9, "at": [1]}},
            SOFTMAX,
            "'interval' must hold numbers under 'at' and 'below'",
        ),
    ],
)
def test_what_cannot_be_read_is_named(age: Any, gender: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Decoder({"age": age, "gender": gender})


@pytest.mark.parametrize("age", [YEARS, EXPECTED, {"output": "a", "decode": "years"}])
def test_an_untrained_head_says_nothing(age: dict[str, Any]) -> None:
    outputs = {"a": np.full((2, 101 if age is EXPECTED else 1), 1 / 101, np.float32), "g": np.float32([[0.9], [0.2]])}
    decode = Decoder(with_untrained({"age": age, "gender": PROBABILITY}, ["age"]))
    found = decode(outputs)
    assert (found.age, found.age_std, found.age_probs, found.age_interval) == (None, None, None, None)
    np.testing.assert_allclose(found.p_male, [0.9, 0.2])
    assert decode.untrained == ("age",)
    assert not decode.has_distribution
    with pytest.raises(ValueError, match="neither head has been trained"):
        Decoder(with_untrained({"age": age, "gender": PROBABILITY}, ["age", "gender"]))


def test_an_untrained_gender_is_not_guessed() -> None:
    heads = with_untrained({"age": YEARS, "gender": PROBABILITY}, ["gender"])
    found = Decoder(heads)({"a": np.float32([[30]]), "g": np.float32([[0.9]])})
    assert found.p_male is None
    assert found.age.tolist() == [30]
    assert Decoder(with_untrained(heads, [])).untrained == ()


def test_an_error_that_nobody_measured_is_not_zero() -> None:
    heads = {"age": {**YEARS, "std": None}, "gender": PROBABILITY}
    assert Decoder(heads)({"a": np.float32([[30]]), "g": np.float32([[0.9]])}).age_std is None


def test_heads_survive_json() -> None:
    heads = {"age": {**YEARS, "interval": INTERVAL}, "gender": {**SOFTMAX, "temperature": 1.5}}
    outputs = {"a": np.float32([[30]]), "g": np.float32([[0.2, 0.8]])}
    one, two = Decoder(heads)(outputs), Decoder.from_json(json.dumps(heads))(outputs)
    assert (*one.age_interval[0], one.p_male) == (*two.age_interval[0], two.p_male)
    for text in ("[]", '{"age": 3}', "{"):
        with pytest.raises(ValueError, match=r"JSON object of objects|Expecting"):
            Decoder.from_json(text)


def test_a_curve_is_constant_outside() -> None:
    curve = Curve.read({"at": [10, 20], "years": [1, 3]}, "spread")
    assert curve([0, 10, 15, 20, 99]).tolist() == [1, 1, 2, 3, 3]
