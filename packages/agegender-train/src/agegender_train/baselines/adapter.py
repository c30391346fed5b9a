"""Third-party ONNX models with a small JSON file, the adapter, that says how to feed and to read them.

The heads of an adapter file are those of a model file (`agegender_core.decoding`) with more settings:

- both: "columns" [from, to): which columns of the output; "activation": "softmax" or "sigmoid", for logits.
- age "years": "factor" and "offset": years = value * factor + offset; "std" may be missing: then it isn't known.
- age "expected": "ages": the age that each class stands for; needed unless the classes are the ages 0..100.
- age "likeliest": as "expected", but the age is that of the greatest probability.
- gender: "male": 0 where male is the first of two classes, or where the probability is that of female; 1 otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import MAX_AGE, Decoder
from agegender_core.model_file import to_metadata
from agegender_core.onnx_runtime import open_session, runtime_reason
from agegender_core.predict import Prediction
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec

FIELDS = ("name", "file", "input", "licence", "preprocess", "heads")

Floats = npt.NDArray[np.float32]

_SHARED = ("output", "decode", "columns", "activation")
_AGE = {
    "years": ("factor", "offset", "std", "correction", "spread", "interval"),
    "expected": ("ages", "temperature", "correction", "interval"),
    "likeliest": ("ages", "std", "correction", "spread", "interval"),
}
_GENDER = dict.fromkeys(("probability", "softmax"), ("male", "temperature", "bias"))
_OWN = ("factor", "offset", "ages", "male")
"""Settings that our own decoder doesn't have."""
_HINT = 'logits need "activation": "softmax" or "sigmoid" in their head'


class AdaptedModel:
    """An ONNX model without our metadata, as a `ChipPredictor`.

    Args:
        path: the adapter file: a JSON object with "name" (default: the file's), "file" (the model in the same folder;
            default: the adapter's name with .onnx), "input" (the name of the model's input), "licence" (of the weights,
            for the report), "preprocess" (the fields of `PreprocessSpec`, of which only "input_size" is required) and
            "heads" (see the module).
        threads: of ONNX Runtime within one call.

    Attributes:
        name: from the adapter.
        spec: how its faces are preprocessed.
        metadata: the licence, if the adapter names one, as in a model file.

    Raises:
        FileNotFoundError: the adapter or the model is missing.
        ValueError: the adapter lacks something or doesn't fit the model; the message names the file.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no adapter file at {self.path}")
        try:
            written = _read(self.path)
            self.name = str(written.get("name", self.path.stem))
            self.spec = _spec(written["preprocess"])
            self._heads = _AdapterHeads(written["heads"])
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        self.metadata = to_metadata({"licence": str(written["licence"])} if "licence" in written else {})
        model = self.path.parent / str(written.get("file", f"{self.path.stem}.onnx"))
        if not model.is_file():
            raise FileNotFoundError(f"no model file at {model}, which {self.path} describes")
        self._session = open_session(model, threads, str(model))
        try:
            self._input, self._one_by_one = self._check_input(written.get("input"))
            there = [output.name for output in self._session.get_outputs()]
            if missing := [name for name in self._heads.outputs if name not in there]:
                raise ValueError(f"{model} has no output {' and '.join(missing)}, but {', '.join(there)}")
            self._try()
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def __repr__(self) -> str:
        return f"AdaptedModel({self.name!r}, {self.path})"

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 RGB (n, S, S, 3) with S = ``spec.chip_size``.

        Raises:
            ValueError: another shape or dtype, or the heads can't decode the network's outputs.
        """
        batch = preprocess(chips, self.spec)
        if len(batch) == 0:
            return self._heads({name: np.empty((0, 1), np.float32) for name in self._heads.outputs})
        try:
            return self._heads(self._run(batch))
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def _run(self, batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
        names = self._heads.outputs
        pieces = [batch[i : i + 1] for i in range(len(batch))] if self._one_by_one else [batch]
        results = [self._session.run(names, {self._input: piece}) for piece in pieces]
        outputs = {name: np.concatenate(values) for name, values in zip(names, zip(*results, strict=True), strict=True)}
        if wrong := [name for name, values in outputs.items() if len(values) != len(batch)]:
            raise ValueError(f"the output {wrong[0]!r} has {len(outputs[wrong[0]])} rows for {len(batch)} faces")
        return outputs

    def _check_input(self, wanted: Any) -> tuple[str, bool]:
        """The input's name, and whether the model takes one face at a time."""
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        if wanted is None and len(inputs) == 1:
            wanted = next(iter(inputs))
        if wanted not in inputs or len(inputs) != 1:
            raise ValueError(f"the model must have one input, named by 'input', got {wanted!r} of {', '.join(inputs)}")
        entry, size = inputs[wanted], self.spec.input_size
        shape = (3, size, size) if self.spec.layout == "nchw" else (size, size, 3)
        fits = len(entry.shape) == 4 and all(
            not isinstance(there, int) or there == asked for there, asked in zip(entry.shape[1:], shape, strict=True)
        )
        if entry.type != "tensor(float)" or not fits:
            raise ValueError(
                f"'preprocess' gives float32 (n, {', '.join(map(str, shape))}), "
                f"but the model's input {wanted!r} is {entry.type} {entry.shape}"
            )
        if isinstance(entry.shape[0], int) and entry.shape[0] != 1:
            raise ValueError(f"the model takes {entry.shape[0]} faces at a time; it must take one, or any number")
        return wanted, entry.shape[0] == 1

    def _try(self) -> None:
        """Runs one grey face, so that a misfit is reported before an evaluation begins."""
        side = self.spec.chip_size
        batch = preprocess(np.full((1, side, side, 3), 128, np.uint8), self.spec)
        try:
            outputs = self._run(batch)
        except ValueError:
            raise
        except Exception as error:  # ONNX Runtime's classes share no other base
            raise ValueError(f"the model can't be run: {runtime_reason(error)}") from None
        self._heads(outputs)


def _read(path: Path) -> dict[str, Any]:
    try:
        written = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(written, dict):
        raise ValueError("an adapter file must be a JSON object")
    if missing := [name for name in ("preprocess", "heads") if name not in written]:
        raise ValueError(f"it lacks {' and '.join(missing)}")
    if unknown := set(written) - set(FIELDS):
        raise ValueError(f"unknown are {', '.join(sorted(unknown))}; an adapter file has {', '.join(FIELDS)}")
    return written


def _spec(written: Any) -> PreprocessSpec:
    if not isinstance(written, dict) or "input_size" not in written:
        raise ValueError("'preprocess' must be an object with 'input_size' in pixels")
    names = [field.name for field in fields(PreprocessSpec)]
    if unknown := set(written) - set(names):
        raise ValueError(f"'preprocess': unknown are {', '.join(sorted(unknown))}; it may hold {', '.join(names)}")
    try:
        channels = {name: tuple(map(float, written[name])) for name in ("mean", "scale") if name in written}
        return PreprocessSpec(**{**written, **channels})
    except TypeError as error:
        raise ValueError(f"'preprocess' holds a value of the wrong type: {error}") from None


class _AdapterHeads:
    """Decodes the outputs of a third-party model.

    Args:
        heads: "age" and "gender", as the module says.

    Attributes:
        outputs: names of the network's outputs that are needed, each once.

    Raises:
        ValueError: a head is missing or invalid; the message names it.
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
                    "std": None,
                    **self._age.rest(),
                    "decode": "expected" if self._age.decode == "expected" else "years",
                },
                "gender": self._gender.rest(),
            }
        )

    def __call__(self, outputs: Mapping[str, npt.NDArray[Any]]) -> Prediction:
        """Ages and genders from outputs by name, (n, ...) each.

        Raises:
            ValueError: an output has another number of columns, isn't finite, or isn't a probability where one is due.
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


class _Head:
    """One head of an adapter file: reads its columns of an output."""

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
        """The head without the adapter's settings, for our own decoder."""
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


def _ages(written: Any) -> Floats:
    try:
        ages = np.array(written, np.float32)
    except (TypeError, ValueError):
        ages = np.empty(0, np.float32)
    if ages.ndim != 1 or len(ages) < 2 or not ((ages >= 0) & (ages <= MAX_AGE)).all():
        raise ValueError(f"head 'age': 'ages' must be two or more ages from 0 to {MAX_AGE}, got {written}")
    return ages


def _spread(ages: Floats) -> Floats:
    """float32 (k, 101): shares each class out to the two whole years around its age, which keeps the mean."""
    lower = np.minimum(np.floor(ages).astype(int), MAX_AGE - 1)
    spread = np.zeros((len(ages), MAX_AGE + 1), np.float32)
    rows = np.arange(len(ages))
    spread[rows, lower] = 1 - (ages - lower)
    spread[rows, lower + 1] = ages - lower
    return spread
