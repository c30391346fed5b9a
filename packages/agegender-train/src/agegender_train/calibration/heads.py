"""Fits the calibration of a model's heads; `agegender_core.decoding` says what its settings mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Decoder, Prediction, age_quantile
from agegender_core.model_file import untrained_heads
from agegender_train.calibration.age import Bounds, clearly_helps, fit_correction, fit_interval, rounded
from agegender_train.calibration.neighbours import AGES, in_open_group, likely_ages, possible_ages
from agegender_train.calibration.temperature import fit_gender, fit_temperature
from agegender_train.store.labels import Labels

LEVEL = 0.9
"""The default share of true ages that the interval holds."""

LEAST_FACES = 100
"""A head with fewer labelled faces is not calibrated: the fit would describe these faces more than the model."""

Heads = dict[str, dict[str, Any]]
_FITTED = {"age": ("temperature", "correction", "spread", "interval"), "gender": ("temperature", "bias")}


def plain_heads(heads: Mapping[str, Mapping[str, Any]]) -> Heads:
    """The heads without the settings of a calibration."""
    return {
        name: {key: value for key, value in head.items() if key not in _FITTED.get(name, ())}
        for name, head in heads.items()
    }


def calibrated_heads(
    heads: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, npt.NDArray[Any]],
    labels: Labels,
    level: float = LEVEL,
    correct: bool = False,
    stretch: bool = False,
) -> Heads:
    """The heads of a model file, calibrated on held-out faces.

    For the age: a temperature of the distribution, the spread of the errors of a network that gives years alone, and an
    interval; for the gender: a temperature. Ages and predicted genders stay unless `correct`. A head that has learned
    nothing, or with fewer than 100 labelled faces, or with one gender only, stays uncalibrated. What an earlier
    calibration left is replaced. Equal input gives equal heads.

    Args:
        heads: "age" and "gender", as in a model file.
        outputs: the network's raw outputs for n faces, by name: (n, k) or (n,). No face may have been trained on.
        labels: their labels; ages may be groups and may be missing, as may genders.
        level: the probability with which the interval holds the true age, in (0, 1).
        correct: also fit a correction of the age, kept where it clearly helps (see `clearly_helps`), and a bias of the
            gender where there clearly is one. It fits the model to the mix of people among these faces, to the
            disadvantage of those who are rare there.
        stretch: move the ages of an open last group (see `in_open_group`) so that the mean of what the network says
            within it, of faces in it, is about its middle. A network learned nothing of ages within it, and may gather
            them at its start.

    Raises:
        ValueError: `stretch` without an open last group, without a distribution or with `correct`; an output is
            missing, has another number of rows than `labels` or is not finite, `level` is out of range, or `heads` is
            not as a model file has it.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if stretch and correct:
        raise ValueError("an open last group is stretched only where ages aren't corrected otherwise")
    made = plain_heads(heads)
    untrained = untrained_heads(made)
    if made.get("age", {}).get("decode") == "years" and "age" not in untrained:
        made["age"].setdefault("std", None)
    for name in Decoder(made).outputs:
        if name not in outputs or len(outputs[name]) != len(labels) or not np.isfinite(outputs[name]).all():
            found = f"shape {outputs[name].shape}, or not finite" if name in outputs else "none"
            raise ValueError(f"outputs must hold {len(labels)} finite rows as the labels under {name!r}, got {found}")
    aged, gendered = ~np.isnan(labels.age_low), labels.gender >= 0
    if "age" not in untrained and aged.sum() >= LEAST_FACES:
        made = _with_age(made, _rows(outputs, aged), labels[aged], level, correct, stretch)
    genders = labels.gender[gendered]
    if "gender" not in untrained and len(genders) >= LEAST_FACES and len(np.unique(genders)) == 2:
        p_male = Decoder(made)(_rows(outputs, gendered)).p_male
        assert p_male is not None
        temperature, bias = fit_gender(p_male, genders == 1, correct)
        made["gender"]["temperature"] = round(temperature, 4)
        if bias:
            made["gender"]["bias"] = round(bias, 4)
    return made


def _with_age(
    heads: Heads, outputs: Mapping[str, npt.NDArray[Any]], labels: Labels, level: float, correct: bool, stretch: bool
) -> Heads:
    possible = possible_ages(labels)

    def with_age(base: Heads, **changes: Any) -> Heads:
        return {**base, "age": {**base["age"], **changes}}

    def tempered(base: Heads) -> Heads:
        def loss(temperature: float) -> float:
            probs = Decoder(with_age(base, temperature=temperature))(outputs).age_probs
            assert probs is not None
            return float(-np.log(np.maximum((probs * possible).sum(axis=1, dtype=np.float64), 1e-6)).mean())

        return with_age(base, temperature=round(fit_temperature(loss), 4)) if distributed else base

    def corrected(base: Heads, rows: npt.NDArray[np.bool_]) -> Heads:
        curve = fit_correction(network[rows], likely[rows])
        return with_age(base, correction={"at": rounded(curve.at), "years": rounded(curve.years)})

    def ages(prediction: Prediction) -> npt.NDArray[np.float64]:
        assert prediction.age is not None  # an untrained head isn't calibrated
        return prediction.age.astype(np.float64)

    def bounds(base: Heads) -> Bounds:
        prediction = Decoder(base)(outputs)
        age, probs = ages(prediction), prediction.age_probs
        if probs is None:
            return Bounds(age, age, age)
        start, end = (age_quantile(probs, (1 + sign * level) / 2).astype(np.float64) for sign in (-1, 1))
        return Bounds(age, start, end)

    distributed = heads["age"]["decode"] == "expected"
    heads = tempered(heads)
    prediction = Decoder(heads)(outputs)
    if stretch:
        heads = with_age(heads, correction=_stretched(prediction, possible))
        prediction = Decoder(heads)(outputs)
    network = ages(prediction) if prediction.age_probs is None else prediction.age_probs.astype(np.float64)
    likely, spread = likely_ages(ages(prediction), possible)
    correct = correct and clearly_helps(network, likely, possible)
    if correct:
        heads = tempered(corrected(heads, np.ones(len(labels), bool)))
    age = ages(Decoder(heads)(outputs))
    now_likely, spread = likely_ages(age, possible)
    if not distributed:
        overall = np.sqrt((now_likely * np.square(AGES - age[:, None])).sum(axis=1).mean())
        points = {"at": rounded(spread.at), "years": rounded(spread.years)}
        heads = with_age(heads, std=round(float(overall), 2), spread=points)
    base, plain = heads, bounds(heads)
    interval = fit_interval(lambda rows: bounds(corrected(base, rows)) if correct else plain, now_likely, level)
    return with_age(heads, interval=interval)


def _stretched(prediction: Prediction, possible: npt.NDArray[np.bool_]) -> dict[str, list[float]]:
    """The curve that moves the mean within the open last group, of faces in it, to its middle, and no age below."""
    is_open = in_open_group(possible)
    if prediction.age_probs is None:
        raise ValueError("the last group can't be stretched: the model gives no probability for each age")
    if not is_open.any():
        raise ValueError("the last group can't be stretched: no label is an open group, such as 'more than 70'")
    start = float(AGES[possible[is_open].argmax(axis=1).max()])
    inside = start <= AGES
    share = prediction.age_probs[is_open][:, inside].sum(axis=0, dtype=np.float64)
    mean = float(np.clip(share @ AGES[inside] / share.sum(), start + 0.5, MAX_AGE - 0.5))
    return {"at": [0.0, start, round(mean, 2), 100.0], "years": [0.0, start, (start + MAX_AGE) / 2, 100.0]}


def _rows(outputs: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    return {name: values[rows] for name, values in outputs.items()}
