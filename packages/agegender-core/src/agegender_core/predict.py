"""Ages and genders of aligned faces, by any model file of ours."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from .align import Aligner
from .faces import Faces, Frame
from .preprocess import preprocess
from .spec import PreprocessSpec

DEFAULT_MODEL_PATH = Path(__file__).parent / "models" / "ssrnet.onnx"
"""The model that comes with the package."""

FORMAT = "1"
_REQUIRED = ("agegender.format", "agegender.preprocess", "agegender.heads", "agegender.name")
_AGES = np.arange(101, dtype=np.float32)


class ModelFileError(ValueError):
    """A file that is no model of ours, or of a format that this version does not know."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of n faces.

    Attributes:
        age: float32 (n,), years.
        age_std: float32 (n,), years.
        p_male: float32 (n,), in [0, 1].
        age_probs: float32 (n, 101), rows sum to 1; ``None`` for a model without an age distribution.
    """

    age: npt.NDArray[np.float32]
    age_std: npt.NDArray[np.float32]
    p_male: npt.NDArray[np.float32]
    age_probs: npt.NDArray[np.float32] | None = None


def load_predictor(path: str | os.PathLike[str] | None = None, threads: int = 1) -> Predictor:
    """Load a model file; without a path, the one that comes with the package.

    Args:
        path: an ``.onnx`` file with the metadata of an agegender model.
        threads: threads of ONNX Runtime within one call. One is the fastest for a few small faces.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is no ONNX model, or lacks metadata; the message says which.
    """
    return Predictor(Path(path) if path is not None else DEFAULT_MODEL_PATH, threads=threads)


class Predictor:
    """A model file as a stage: fills age, age_std, p_male and, where the model has it, age_probs.

    One object may be used from many threads at once.

    Attributes:
        name: the network's name, e.g. "ssrnet".
        spec: how it wants its faces.
        metadata: all of the file's metadata, text by key.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"no model file at {path}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # ONNX Runtime raises a dozen classes of its own, which share no base but Exception.
            raise ModelFileError(f"{path} is no ONNX model: {error}") from None
        self.path = path
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        if missing := [key for key in _REQUIRED if key not in self.metadata]:
            raise ModelFileError(
                f"{path} is an ONNX model, but not one of agegender's: its metadata lacks {', '.join(missing)}"
            )
        if self.metadata["agegender.format"] != FORMAT:
            raise ModelFileError(
                f"{path} has format {self.metadata['agegender.format']}, this version reads format {FORMAT}"
            )
        try:
            self.spec = PreprocessSpec.from_json(self.metadata["agegender.preprocess"])
            self._heads = _read_heads(self.metadata["agegender.heads"], {o.name for o in self._session.get_outputs()})
        except ValueError as error:
            raise ModelFileError(f"{path}: {error}") from None
        self.name = self.metadata["agegender.name"]
        self._input = self._session.get_inputs()[0].name
        self._aligner = Aligner(self.spec.chip_size, self.spec.chip_padding)

    def __repr__(self) -> str:
        return f"Predictor({self.name!r}, {self.spec.input_size} px, {self.path})"

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Fill age, age_std, p_male and age_probs.

        Chips that an `Aligner` cut as the model's spec asks are used as they are. Others are cut again from the frame,
        by the same landmarks: a network that sees faces of another size or margin than in training gives wrong ages.
        """
        fits = (
            faces.chips is not None
            and faces.chips.shape[1] == self.spec.chip_size
            and faces.chip_padding == self.spec.chip_padding
        )
        if not fits:
            faces = self._aligner(frame, faces)
        assert faces.chips is not None
        prediction = self.predict_chips(faces.chips)
        return faces.with_columns(
            age=prediction.age, age_std=prediction.age_std, p_male=prediction.p_male, age_probs=prediction.age_probs
        )

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Predict from chips that were cut with the spec's chip_size and chip_padding.

        Args:
            chips: uint8 RGB (n, chip_size, chip_size, 3).

        Raises:
            ValueError: another shape or dtype.
        """
        batch = preprocess(chips, self.spec)
        if len(batch) == 0:
            nothing = np.empty(0, np.float32)
            probs = np.empty((0, 101), np.float32) if self._heads["age"]["decode"] == "expected" else None
            return Prediction(nothing, nothing, nothing, probs)
        names = [self._heads[head]["output"] for head in self._heads]
        outputs = dict(zip(self._heads, self._session.run(names, {self._input: batch}), strict=True))
        return _decode(outputs, self._heads)


def _read_heads(text: str, outputs: set[str]) -> dict[str, dict[str, Any]]:
    heads = json.loads(text)
    for head, decodes in (("age", ("years", "expected")), ("gender", ("probability", "softmax"))):
        if heads.get(head, {}).get("decode") not in decodes:
            raise ValueError(f"head {head!r} must be decoded as one of {', '.join(decodes)}, got {heads.get(head)}")
    if heads["age"]["decode"] == "years" and "std" not in heads["age"]:
        raise ValueError("head 'age' gives years without a distribution, and no 'std' in years beside them")
    if missing := {head["output"] for head in heads.values()} - outputs:
        raise ValueError(f"the network has no output named {', '.join(sorted(missing))}")
    return {name: heads[name] for name in ("age", "gender")}


def _decode(outputs: dict[str, npt.NDArray[np.float32]], heads: dict[str, dict[str, Any]]) -> Prediction:
    gender = outputs["gender"]
    p_male = gender[:, 1] if heads["gender"]["decode"] == "softmax" else gender.reshape(-1)
    p_male = np.clip(p_male, 0, 1).astype(np.float32)
    if heads["age"]["decode"] == "years":
        age = outputs["age"].reshape(-1).astype(np.float32)
        return Prediction(np.maximum(age, 0), np.full_like(age, heads["age"]["std"]), p_male)
    probs = outputs["age"].astype(np.float32)
    age = probs @ _AGES
    variance = np.square(_AGES - age[:, None]) * probs
    return Prediction(age, np.sqrt(variance.sum(axis=1)), p_male, probs)
