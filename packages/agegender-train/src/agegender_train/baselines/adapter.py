"""ONNX models of strangers, with a small JSON file that says how to feed and to read them."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.model_file import open_session, to_metadata
from agegender_core.predict import Prediction
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.baselines.adapter_heads import Heads

FIELDS = ("name", "file", "input", "licence", "preprocess", "heads")


class Stranger:
    """An ONNX model without our metadata.

    Args:
        path: the adapter file: a JSON object with "name" (the file's own without it), "file" (the model beside it; the
            adapter's name with .onnx without it), "input" (the model's), "licence" (of the weights, for the report),
            "preprocess" (the fields of `PreprocessSpec`, of which only "input_size" is needed) and "heads" (see
            `adapter_heads`).
        threads: of ONNX Runtime within one call.

    Attributes:
        name: as the adapter says.
        spec: how it wants its faces.
        metadata: the licence, if the adapter has one, as a model file has it.

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
            self._heads = Heads(written["heads"])
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        self.metadata = to_metadata({"licence": str(written["licence"])} if "licence" in written else {})
        model = self.path.parent / str(written.get("file", f"{self.path.stem}.onnx"))
        if not model.is_file():
            raise FileNotFoundError(f"no model file at {model}, which {self.path} is about")
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
        return f"Stranger({self.name!r}, {self.path})"

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 RGB (n, S, S, 3) with S = ``spec.chip_size``.

        Raises:
            ValueError: another shape or dtype, or the network gives what its head can't read.
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
        """The input's name, and whether it takes one face only."""
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        if wanted is None and len(inputs) == 1:
            wanted = next(iter(inputs))
        if wanted not in inputs or len(inputs) != 1:
            raise ValueError(
                f"the model must have one input and 'input' name it, got {wanted!r} of {', '.join(inputs)}"
            )
        entry, size = inputs[wanted], self.spec.input_size
        shape = (3, size, size) if self.spec.layout == "nchw" else (size, size, 3)
        fits = len(entry.shape) == 4 and all(
            not isinstance(there, int) or there == asked for there, asked in zip(entry.shape[1:], shape, strict=True)
        )
        if entry.type != "tensor(float)" or not fits:
            raise ValueError(
                f"'preprocess' gives float pictures (n, {', '.join(map(str, shape))}), "
                f"but the model's input {wanted!r} is {entry.type} {entry.shape}"
            )
        if isinstance(entry.shape[0], int) and entry.shape[0] != 1:
            raise ValueError(f"the model takes {entry.shape[0]} faces at once and no other number")
        return wanted, entry.shape[0] == 1

    def _try(self) -> None:
        """One grey face, so that what doesn't fit is said before an evaluation has begun."""
        side = self.spec.chip_size
        batch = preprocess(np.full((1, side, side, 3), 128, np.uint8), self.spec)
        try:
            outputs = self._run(batch)
        except ValueError:
            raise
        except Exception as error:  # ONNX Runtime's classes share no other base
            raise ValueError(f"the model can't be run: {error}") from None
        self._heads(outputs)


def _read(path: Path) -> dict[str, Any]:
    try:
        written = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(written, dict):
        raise ValueError("an adapter file is a JSON object")
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
        raise ValueError(f"'preprocess' holds a value of a wrong kind: {error}") from None
