"""What strangers' networks put out, turned into what our own heads read: years or 101 probabilities, and two of gender.

The heads of an adapter file are those of a model file (`agegender_core.decoding`) and may say more:

- both: "columns" [from, to): which columns of the output; "activation": "softmax" or "sigmoid", for logits.
- age "years": "factor" and "offset": years = value * factor + offset; "std" may be missing and is then 0.
- age "expected": "ages": the age that each class stands for; needed unless the classes are the ages 0..100.
- age "likeliest": as "expected", but the age is that of the greatest probability.
- gender: "male": 0 where the first of two classes, or the probability itself, is not that of female.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Decoder, Prediction

Floats = npt.NDArray[np.float32]

_SHARED = ("output", "decode", "columns", "activation")
_AGE = {
    "years": ("factor", "offset", "std", "correction", "spread", "interval"),
    "expected": ("ages", "temperature", "correction", "interval"),
    "likeliest": ("ages", "std", "correction", "spread", "interval"),
}
_GENDER = dict.fromkeys(("probability", "softmax"), ("male", "temperature", "bias"))


class Heads:
    """Decodes a stranger's outputs.

    Args:
        heads: "age" and "gender", as the module says.

    Attributes:
        outputs: names of the network's outputs that are needed, each once.

    Raises:
        ValueError: a head is missing or says what can't be read; the message names it.
    """

    def __init__(self, heads: Any) -> None:
        if not isinstance(heads, dict) or set(heads) != {"age", "gender"}:
            raise ValueError(f"'heads' must hold 'age' and 'gender' and no more, got {heads}")
        self._age, self._gender = _Head("age", heads["age"], _AGE), _Head("gender", heads["gender"], _GENDER)
        self.outputs = list(dict.fromkeys([self._age.output, self._gender.output]))
        self._factor, self._offset = self._age.number("factor", 1.0), self._age.number("offset", 0.0)
        self._spread: Floats | None = None
        self._ages = np.empty(0, np.float32)
        if self._age.decode != "years":
            self._ages = _ages(self._age.written.get("ages", list(range(MAX_AGE + 1))))
            self._spread = _spread(self._ages)
        if (male := self._gender.written.get("male", 1)) not in (0, 1):
            raise ValueError(f"head 'gender': 'male' must be 0 or 1, got {male!r}")
        self._male_first = male == 0
        self._decode = Decoder(
            {
                "age": {
                    "std": 0.0,
                    **self._age.rest(),
                    "decode": "expected" if self._age.decode == "expected" else "years",
                },
                "gender": self._gender.rest(),
            }
        )

    def __call__(self, outputs: Mapping[str, npt.NDArray[Any]]) -> Prediction:
        """Ages and genders from the outputs by their names, (n, ...) each.

        Raises:
            ValueError: an output has another number of columns, is no probability where one is meant, or not finite.
        """
        return self._decode({"age": self._read_age(outputs), "gender": self._read_gender(outputs)})

    def _read_age(self, outputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
        if self._spread is None:
            return self._age.values(outputs, 1) * np.float32(self._factor) + np.float32(self._offset)
        probs = self._age.probabilities(outputs, len(self._ages))
        if self._age.decode == "likeliest":
            return np.asarray(self._ages[probs.argmax(axis=1)][:, None])
        return probs @ self._spread

    def _read_gender(self, outputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
        if self._gender.decode == "softmax":
            probs = self._gender.probabilities(outputs, 2)
            return probs[:, ::-1] if self._male_first else probs
        p = self._gender.values(outputs, 1)
        if p.size and not -1e-3 <= p.min() <= p.max() <= 1 + 1e-3:
            raise ValueError(f"{self._gender.output!r} must be a probability, got {p.min()}..{p.max()}: {_HINT}")
        return np.float32(1) - p if self._male_first else p


_HINT = 'logits need "activation": "softmax" or "sigmoid" in their head'


class _Head:
    """One head of an adapter file and how its columns are read."""

    def __init__(self, name: str, written: Any, allowed: Mapping[str, tuple[str, ...]]) -> None:
        if not isinstance(written, dict) or not isinstance(written.get("output"), str):
            raise ValueError(f"head {name!r} must be an object with the name of an 'output', got {written}")
        if written.get("decode") not in allowed:
            raise ValueError(
                f"head {name!r}: 'decode' must be one of {', '.join(allowed)}, got {written.get('decode')!r}"
            )
        self.name, self.written = name, written
        self.output: str = written["output"]
        self.decode: str = written["decode"]
        if unknown := set(written) - {*_SHARED, *allowed[self.decode]}:
            raise ValueError(f"head {name!r}: unknown with {self.decode!r} are {', '.join(sorted(unknown))}")
        self._activation = written.get("activation", "none")
        if self._activation not in ("none", "softmax", "sigmoid"):
            raise ValueError(f"head {name!r}: 'activation' must be softmax, sigmoid or none, got {self._activation!r}")
        columns = written.get("columns", [0, None])
        if "columns" in written and not (
            isinstance(columns, list)
            and [type(column) for column in columns] == [int, int]
            and 0 <= columns[0] < columns[1]
        ):
            raise ValueError(f"head {name!r}: 'columns' must be [from, to) with 0 <= from < to, got {columns}")
        self._columns = slice(*columns)

    def number(self, key: str, default: float) -> float:
        value = self.written.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"head {self.name!r}: {key!r} must be a finite number, got {value!r}")
        return float(value)

    def rest(self) -> dict[str, Any]:
        """The head as our own decoder reads it."""
        ours = {key: value for key, value in self.written.items() if key not in (*_OWN, *_SHARED)}
        return {**ours, "output": self.name, "decode": self.decode}

    def values(self, outputs: Mapping[str, npt.NDArray[Any]], width: int) -> Floats:
        values = np.asarray(outputs[self.output], np.float32)
        columns = values.reshape(len(values), -1)[:, self._columns] if len(values) else np.empty((0, width), np.float32)
        if columns.shape[1] != width:
            raise ValueError(f"head {self.name!r} needs {width} columns of {self.output!r}, got {columns.shape[1]}")
        if not np.isfinite(columns).all():
            raise ValueError(f"{self.output!r} holds values that are not finite")
        if self._activation == "softmax":
            columns = np.exp(columns - columns.max(axis=1, keepdims=True))
            return np.asarray(columns / columns.sum(axis=1, keepdims=True), np.float32)
        if self._activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-columns.astype(np.float64))), np.float32)
        return columns

    def probabilities(self, outputs: Mapping[str, npt.NDArray[Any]], width: int) -> Floats:
        """Float32 (n, width), whose rows sum to 1."""
        probs = self.values(outputs, width)
        total = probs.sum(axis=1, keepdims=True)
        if probs.size and (probs.min() < -1e-3 or np.abs(total - 1).max() > 1e-2):
            raise ValueError(
                f"{self.output!r} must hold probabilities that sum to 1, got {total.min()}..{total.max()}: {_HINT}"
            )
        return np.asarray(np.maximum(probs, 0) / np.maximum(total, 1e-6), np.float32)


_OWN = ("factor", "offset", "ages", "male")
"""What our own decoder doesn't know."""


def _ages(written: Any) -> Floats:
    try:
        ages = np.array(written, np.float32)
    except (TypeError, ValueError):
        ages = np.empty(0, np.float32)
    if ages.ndim != 1 or len(ages) < 2 or not ((ages >= 0) & (ages <= MAX_AGE)).all():
        raise ValueError(f"head 'age': 'ages' must be two or more ages from 0 to {MAX_AGE}, got {written}")
    return ages


def _spread(ages: Floats) -> Floats:
    """Float32 (k, 101): each class's probability on the two whole years about its age, which keeps the mean."""
    lower = np.minimum(np.floor(ages).astype(int), MAX_AGE - 1)
    spread = np.zeros((len(ages), MAX_AGE + 1), np.float32)
    rows = np.arange(len(ages))
    spread[rows, lower] = 1 - (ages - lower)
    spread[rows, lower + 1] = ages - lower
    return spread
