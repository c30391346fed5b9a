"""From a network's outputs to ages and genders, as the heads in its model file say.

The metadata ``agegender.heads`` of a model file is a JSON object with two members, "age" and "gender". Each names the
network's "output" and how it is to be read ("decode"):

- age, "years": the output is the age, (n, 1). "std" beside it is the standard deviation of its error in years, null
  where nobody has measured it.
- age, "expected": the output is the probability of the ages 0..100, (n, 101); their mean is the age.
- gender, "probability": the output is the probability of male, (n, 1).
- gender, "softmax": the output is the probability of female and of male, (n, 2).

A head that had nothing to learn from says ``"trained": false`` (see `model_file.with_untrained`). What the network
gives there means nothing and is not read: predictions have ``None`` in its place.

What a calibration found stands there too. All of it may be missing, and is then not applied; curves are piecewise
linear through the points (at, years), with "at" rising strictly, and constant before the first and after the last.

- age "temperature" T > 0, of "expected" only: the probabilities become ``p ** (1 / T) * exp(l * age)``, scaled to sum
  to 1. The first factor is the same as dividing the logits by T; l is what leaves the mean, the age, where it was for
  each face, for flattening alone would pull it to the middle of the scale: children would become older.
- age "correction" ``{"at": [...], "years": [...]}``, not falling: what an age of the network becomes. Of "expected" the
  ages of the distribution are moved, each with its probability, so that the distribution stays one over 0..100.
- age "spread" ``{"at": [...], "years": [...]}``, of "years" only: standard deviation by the (corrected) age; it takes
  the place of "std".
- age "interval" ``{"level": L, "at": [...], "below": [...], "above": [...]}``: an interval that holds the true age
  with probability L. Of "years" it reaches from age - below to age + above; of "expected" from the quantile (1 - L) / 2
  less below to the quantile (1 + L) / 2 plus above; below and above are curves by the age, in years.
- gender "temperature" T > 0 and "bias" b: the probability becomes ``sigmoid(logit(p) / T + b)``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .faces import FormerIntervalEnds

Floats: TypeAlias = npt.NDArray[np.float32]

MAX_AGE = 100
"""Years. The oldest age of a distribution; older people count as of this age."""

LEAST_PROBABILITY = 1e-4
"""A gender's probability is taken to be no closer to 0 and 1 than this before its logit is."""

SURE = 0.8
"""The least probability of a gender that a network is sure of; see `predict.load_predictor`, flip. Chosen by
scripts/measure_second_looks.py on faces that the accurate model was not trained on."""

_STEPS, _STEEPEST = 50, 50.0
_AGES = np.arange(MAX_AGE + 1, dtype=np.float32)
_DECODES = {"age": ("years", "expected"), "gender": ("probability", "softmax")}


@dataclass(frozen=True)
class Prediction(FormerIntervalEnds):
    """What a model predicts for n faces.

    Attributes:
        age: float32 (n,), years; ``None``, as all that is of the age, where the model has not learned ages.
        age_std: float32 (n,), standard deviation of the age in years; ``None`` where it isn't known.
        p_male: float32 (n,), in [0, 1]; ``None`` where the model has not learned genders.
        age_probs: float32 (n, 101), rows sum to 1; ``None`` for a model without an age distribution.
        age_interval: float32 (n, 2), years: low and high end of the interval that holds the true age with the
            probability that the model was calibrated for, 90 %. ``None`` for a model without a calibrated interval.
    """

    age: Floats | None
    age_std: Floats | None
    p_male: Floats | None
    age_probs: Floats | None = None
    age_interval: Floats | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """A piecewise linear function of the age, constant before its first point and after its last.

    Attributes:
        at: float64 (k,), years, rising strictly; k >= 1.
        years: float64 (k,).
    """

    at: npt.NDArray[np.float64]
    years: npt.NDArray[np.float64]

    @classmethod
    def read(cls, value: Any, name: str, years: str = "years") -> Curve:
        """The curve in a head's metadata, under `name`, with its values under the key `years`.

        Raises:
            ValueError: it is none; the message says which.
        """
        try:
            at, values = (np.array(value[key], np.float64) for key in ("at", years))
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{name!r} must hold numbers under 'at' and {years!r}, got {value}") from None
        points = at.ndim == 1 and len(at) > 0 and at.shape == values.shape
        if not (points and np.isfinite([at, values]).all() and np.all(np.diff(at) > 0)):
            raise ValueError(f"{name!r} must have 'at' rising and as many finite numbers under {years!r}, got {value}")
        return cls(at, values)

    def __call__(self, age: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Years at each of `age`."""
        return np.asarray(np.interp(np.asarray(age, np.float64), self.at, self.years), np.float64)


class Decoder:
    """Turns a network's outputs into a `Prediction`.

    Args:
        heads: "age" and "gender", as the module says.

    Attributes:
        outputs: names of the network's outputs that are needed.
        has_distribution: whether predictions have `age_probs`.
        untrained: those of the heads "age" and "gender" that have learned nothing.

    Raises:
        ValueError: a head is missing or says what this version can't read, or no head has learned anything.
    """

    def __init__(self, heads: Mapping[str, Mapping[str, Any]]) -> None:
        for name, decodes in _DECODES.items():
            head = heads.get(name, {})
            if head.get("decode") not in decodes or "output" not in head:
                raise ValueError(f"head {name!r} must be decoded as one of {', '.join(decodes)}, got {head or None}")
            if not isinstance(head.get("trained", True), bool):
                raise ValueError(f"'trained' of head {name!r} must be true or false, got {head['trained']!r}")
        age, gender = heads["age"], heads["gender"]
        self.outputs = (str(age["output"]), str(gender["output"]))
        self.untrained = untrained_heads(heads)
        if len(self.untrained) == len(_DECODES):
            raise ValueError("neither head has been trained, so there is nothing to predict")
        self.has_distribution: bool = age["decode"] == "expected" and "age" not in self.untrained
        if age["decode"] == "years" and "std" not in age and "age" not in self.untrained:
            raise ValueError("head 'age' gives years without a distribution, and no 'std' in years beside them")
        self._std: Curve | None = None
        if age.get("std") is not None:
            self._std = Curve(np.zeros(1), np.array([age["std"]], np.float64))
        if "spread" in age:
            self._std = Curve.read(age["spread"], "spread")
        self._age_temperature = _temperature(age)
        self._correction = Curve.read(age["correction"], "correction") if "correction" in age else None
        if self._correction is not None and np.any(np.diff(self._correction.years) < 0):
            raise ValueError(f"'correction' must not fall, got {age['correction']}")
        self._moves = _moves(self._correction) if self._correction is not None and self.has_distribution else None
        self._interval: tuple[float, Curve, Curve] | None = None
        if "interval" in age:
            below, above = (Curve.read(age["interval"], "interval", side) for side in ("below", "above"))
            level = age["interval"].get("level")
            if not (isinstance(level, float) and 0 < level < 1):
                raise ValueError(f"'interval' must have a 'level' between 0 and 1, got {level}")
            self._interval = level, below, above
        self._softmax = gender["decode"] == "softmax"
        self._gender_temperature, self._gender_bias = _temperature(gender), float(gender.get("bias", 0.0))
        if not math.isfinite(self._gender_bias):
            raise ValueError(f"'bias' must be a finite number, got {self._gender_bias}")

    @classmethod
    def from_json(cls, text: str) -> Decoder:
        """The decoder of a model file's ``agegender.heads``. Raises ValueError as the class does."""
        heads = json.loads(text)
        if not (isinstance(heads, dict) and all(isinstance(head, dict) for head in heads.values())):
            raise ValueError(f"the heads of a model are a JSON object of objects, got {text[:60]!r}")
        return cls(heads)

    def __call__(self, outputs: Mapping[str, npt.NDArray[Any]]) -> Prediction:
        """Ages and genders from the network's outputs by their names: (n, k) or (n,) each, with n >= 0."""
        p_male = None if "gender" in self.untrained else self._p_male(outputs[self.outputs[1]])
        if "age" in self.untrained:
            return Prediction(None, None, p_male)
        values = np.asarray(outputs[self.outputs[0]], np.float32)
        if self.has_distribution:
            probs = self._probs(values.reshape(-1, MAX_AGE + 1))
            age = probs @ _AGES
            std = np.sqrt((np.square(_AGES - age[:, None]) * probs).sum(axis=1))
        else:
            probs, age = None, np.maximum(values.reshape(-1), 0)
            if self._correction is not None:
                age = self._correction(age).astype(np.float32)
            std = None if self._std is None else self._std(age).astype(np.float32)
        return Prediction(age, std, p_male, probs, self._age_interval(age, probs))

    def is_unsure(self, outputs: Mapping[str, npt.NDArray[Any]], sure: float = SURE) -> npt.NDArray[np.bool_]:
        """To which faces the network gives neither gender a probability of `sure`, before any calibration: bool (n,).

        To none where it has not learned genders.
        """
        p_male = self._raw_p_male(outputs[self.outputs[1]])
        if "gender" in self.untrained:
            return np.zeros(len(p_male), bool)
        return np.maximum(p_male, 1 - p_male) < sure

    def _raw_p_male(self, values: npt.NDArray[Any]) -> Floats:
        return np.asarray(np.clip(values[:, 1] if self._softmax else values.reshape(-1), 0, 1), np.float32)

    def _p_male(self, values: npt.NDArray[Any]) -> Floats:
        p_male = self._raw_p_male(values)
        if (self._gender_temperature, self._gender_bias) == (1.0, 0.0):
            return p_male
        logit = logit_of(p_male) / self._gender_temperature + self._gender_bias
        return np.asarray(1 / (1 + np.exp(-logit)), np.float32)

    def _probs(self, probs: Floats) -> Floats:
        if self._age_temperature != 1.0:
            probs = _tempered(probs, self._age_temperature)
        return probs if self._moves is None else probs @ self._moves

    def _age_interval(self, age: Floats, probs: Floats | None) -> Floats | None:
        if self._interval is None:
            return None
        level, below, above = self._interval
        start, end = age, age
        if probs is not None:
            start, end = (age_quantile(probs, (1 + sign * level) / 2) for sign in (-1, 1))
        # An interval without the age beside it would puzzle whoever reads both.
        low = np.minimum(np.maximum(start - below(age), 0), age)
        high = np.maximum(np.minimum(end + above(age), MAX_AGE), age)
        return np.stack([low, high], axis=1).astype(np.float32)


def untrained_heads(heads: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of those heads that say that they have learned nothing, "age" before "gender"."""
    return tuple(name for name in _DECODES if heads.get(name, {}).get("trained") is False)


def _tempered(probs: Floats, temperature: float) -> Floats:
    """Probabilities (n, 101) at another temperature and with the same means, to 0.0001 years.

    The tilt of each row is found by Newton's method, or by bisection where that leaves what is known of the tilt.
    """
    mean = probs.astype(np.float64) @ _AGES
    logs = np.log(np.maximum(probs.astype(np.float64), 1e-38)) / temperature
    away = _AGES - mean[:, None]
    tilt, least, most = np.zeros_like(mean), np.full_like(mean, -_STEEPEST), np.full_like(mean, _STEEPEST)
    for _ in range(_STEPS):
        raised = logs + tilt[:, None] * away
        tempered = np.exp(raised - raised.max(axis=1, keepdims=True))
        tempered /= tempered.sum(axis=1, keepdims=True)
        error = (tempered * away).sum(axis=1)
        open_ = np.abs(error) >= 1e-4
        if not open_.any():
            break
        least, most = np.where(error < 0, tilt, least), np.where(error > 0, tilt, most)
        step = tilt - error / np.maximum((tempered * np.square(away)).sum(axis=1) - error**2, 1e-9)
        step = np.where((step > least) & (step < most), step, (least + most) / 2)
        # Bisection would throw a row that has its mean far from it, while others are still sought.
        tilt = np.where(open_, step, tilt)
    return np.asarray(tempered, np.float32)


def age_quantile(probs: Floats, level: float) -> Floats:
    """The age below which the probability is `level`: float32 (n,), years, from -0.5 to 100.5.

    An age of whole years stands for half a year to both sides, over which its probability is spread evenly.

    Args:
        probs: float32 (n, 101), rows sum to 1.
        level: in (0, 1).
    """
    total = np.cumsum(probs, axis=1, dtype=np.float64)
    bin_ = np.minimum((total < level * total[:, -1:]).sum(axis=1), MAX_AGE)
    rows = np.arange(len(probs))
    inside = np.maximum(probs[rows, bin_], np.finfo(np.float32).tiny)
    before = total[rows, bin_] - probs[rows, bin_]
    part = np.clip((level * total[:, -1] - before) / inside, 0, 1)
    return np.asarray(bin_ - 0.5 + part, np.float32)


def logit_of(p: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The logit of probabilities, which are taken to be no closer to 0 and 1 than `LEAST_PROBABILITY`."""
    p = np.clip(p.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.asarray(np.log(p / (1 - p)))


def _temperature(head: Mapping[str, Any]) -> float:
    value = float(head.get("temperature", 1.0))
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"'temperature' must be a number above 0, got {value}")
    return value


def _moves(correction: Curve) -> Floats:
    """float32 (101, 101): which part of each age's probability goes to which age.

    Each age is a year from half before to half after it; the part of the corrected year that falls into another age's
    goes there. Moved as points, the ages of a stretched distribution would leave gaps between them.
    """
    edges = np.arange(MAX_AGE + 2) - 0.5
    inside = np.clip(edges, 0, MAX_AGE)
    moved = np.clip(correction(inside) + edges - inside, -0.5, MAX_AGE + 0.5)
    left = np.minimum(moved[:-1], MAX_AGE + 0.5 - 1e-6)[:, None]
    right = np.maximum(moved[1:][:, None], left + 1e-6)
    overlap = np.minimum(right, edges[1:]) - np.maximum(left, edges[:-1])
    parts = np.maximum(overlap, 0)
    return np.asarray(parts / parts.sum(axis=1, keepdims=True), np.float32)
