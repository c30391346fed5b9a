"""A model file and what it says of itself: the keys of its metadata are spelt here and nowhere else.

A model file is one ``.onnx`` whose metadata carries all that is needed to use it. The same description goes into files
of other kinds (as one JSON object) and is text by key:

- "format": of the description, `FORMAT`; "version": of agegender; "name": of the network; "licence": of the weights.
- "preprocess": a `PreprocessSpec`; "heads": what the outputs mean, see `agegender_core.decoding`.
- "training": what is to be known of the training, an object; "metrics": a list of objects, one for each test set.
- "flip", where it is there: "1" or "0", whether the network wants to see each face a second time, mirrored.
- "calibration", where it is there: what the heads were calibrated on; "export": how the file was made.

All but the first four and "flip" are JSON. In an ONNX file each key has the prefix `PREFIX`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from .decoding import Decoder
from .decoding import untrained_heads as untrained_heads
from .onnx_runtime import onnxruntime as ort
from .spec import PreprocessSpec

Description: TypeAlias = Mapping[str, str]
"""What a model says of itself: text by key, without the prefix."""

Heads: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What a model's outputs mean, "age" and "gender"; see `agegender_core.decoding`."""

FORMAT = "1"
PREFIX = "agegender."
"""Of each key in an ONNX file, whose metadata holds other programs' keys, too."""

_PLAIN = ("format", "version", "name", "licence", "flip")
_REQUIRED = ("format", "preprocess", "heads", "name")


class ModelFileError(ValueError):
    """A file that is no model of agegender's, or of a format that this version does not know."""


def describe(
    *,
    name: str,
    spec: PreprocessSpec,
    heads: Heads,
    training: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    licence: str,
) -> dict[str, str]:
    """The description of a model.

    Args:
        name: of the network, such as "ssrnet".
        spec: how its faces are preprocessed.
        heads: "age" and "gender": each the name of its output and how it is decoded.
        training: data, number of faces, epochs and the like.
        metrics: a mapping for each test set, with its name under "test_set" and its number of faces under "n".
        licence: of the weights.
    """
    return {
        "format": FORMAT,
        "version": version("agegender-core"),
        "name": name,
        "preprocess": spec.to_json(),
        "heads": json.dumps({head: dict(decoded) for head, decoded in heads.items()}),
        "training": json.dumps(training),
        "metrics": json.dumps(metrics),
        "licence": licence,
    }


def with_untrained(heads: Heads, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """A copy of `heads` in which those called `names`, and no others, say that they have learned nothing.

    That is a head for which no label was in the training, or a gender head that saw one gender only. Whoever reads the
    model file answers ``None`` in its place.
    """
    plain = {name: {key: value for key, value in head.items() if key != "trained"} for name, head in heads.items()}
    return {name: {**head, "trained": False} if name in names else head for name, head in plain.items()}


def calibrated(description: Description, heads: Heads, flip: bool, about: Mapping[str, Any]) -> dict[str, str]:
    """The description of a calibrated copy.

    Args:
        description: of the model.
        heads: with what the calibration found.
        flip: whether it was calibrated with a second look at each face, mirrored.
        about: what it was calibrated on.
    """
    return {
        **description,
        "heads": json.dumps(heads),
        "flip": "1" if flip else "0",
        "calibration": json.dumps(about),
    }


def to_metadata(description: Description) -> dict[str, str]:
    """The metadata of an ONNX file that has `description`."""
    return {f"{PREFIX}{key}": text for key, text in description.items()}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The description among the metadata of an ONNX file; empty where there is none."""
    return {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}


def to_json(description: Description) -> bytes:
    """A description as one JSON object, its values as objects of their own."""
    values = {key: text if key in _PLAIN else json.loads(text) for key, text in description.items()}
    return json.dumps(values, indent=1, ensure_ascii=False).encode()


def from_json(content: bytes) -> dict[str, str]:
    """The inverse of `to_json`.

    Raises:
        ValueError: it is no description.
    """
    values = json.loads(content)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"the description of a model must be a JSON object of format {FORMAT}, got {content[:60]!r}")
    return {key: value if key in _PLAIN else json.dumps(value) for key, value in values.items()}


def check_description(description: Description, path: Path) -> None:
    """Refuse a model file whose description is incomplete or of another format.

    Raises:
        ModelFileError: the message names `path` and what is missing.
    """
    if missing := [f"{PREFIX}{key}" for key in _REQUIRED if key not in description]:
        raise ModelFileError(
            f"{path} is an ONNX model, but not one of agegender's: its metadata lacks {', '.join(missing)}"
        )
    if description["format"] != FORMAT:
        raise ModelFileError(f"{path} has format {description['format']}, this version reads format {FORMAT}")


def value_of(description: Description, key: str) -> Any:
    """What a JSON text of a description says, such as "training"; ``None`` where it is missing."""
    return json.loads(description[key]) if key in description else None


def spec_of(description: Description) -> PreprocessSpec:
    """How the model wants its faces. Raises ValueError as `PreprocessSpec.from_json` does."""
    return PreprocessSpec.from_json(description["preprocess"])


def heads_of(description: Description) -> dict[str, dict[str, Any]]:
    """What the model's outputs mean, unchecked; see `Decoder`."""
    heads: dict[str, dict[str, Any]] = value_of(description, "heads")
    return heads


def decoder_of(description: Description) -> Decoder:
    """What turns the model's outputs into ages and genders. Raises ValueError as `Decoder` does."""
    return Decoder.from_json(description["heads"])


def wants_flip(description: Description) -> bool:
    """Whether the model is to see each face a second time, mirrored."""
    return description.get("flip") == "1"


DEVICES: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's provider for each device, the fastest first."""


class DeviceError(ValueError):
    """A device that is unknown, or that ONNX Runtime can't use here."""


def open_session(model: Path | bytes, threads: int = 1, name: str = "the model", device: str = "cpu") -> Any:
    """An ONNX Runtime session. It sends nothing anywhere, and warnings stay off stderr.

    Args:
        model: an ONNX file, or its bytes.
        threads: within one call.
        name: what to call bytes in the error; a file is called by its path.
        device: one of `DEVICES`, or "auto" for the first of them that can be used here.

    Raises:
        ModelFileError: it is no ONNX model, or one that ONNX Runtime can't run.
        DeviceError: no such device, or it can't be used here.
    """
    providers = _providers(device)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source: str | bytes = model if isinstance(model, bytes) else str(model)
    if isinstance(model, Path):
        name = str(model)
        try:
            name.encode()
        except UnicodeEncodeError:
            source = model.read_bytes()  # a path that is no UTF-8 can't be handed over
    try:
        session = ort.InferenceSession(source, options, providers=providers)
    except Exception as error:
        # ONNX Runtime raises a dozen classes of its own, which share no base but Exception.
        raise ModelFileError(f"{name} is no ONNX model that can be run: {runtime_reason(error)}") from None
    if device != "auto" and providers[0] not in session.get_providers():
        raise DeviceError(
            f"device '{device}' can't be used: ONNX Runtime knows it, but its driver or libraries do not load here"
        )
    return session


def _providers(device: str) -> list[str]:
    available = ort.get_available_providers()
    here = [name for name, provider in DEVICES.items() if provider in available]
    if device == "auto":
        return [DEVICES[name] for name in here]
    if device not in DEVICES:
        raise DeviceError(f"device must be auto or one of {', '.join(DEVICES)}, got '{device}'")
    if device not in here:
        error = DeviceError(
            f"device '{device}' can't be used: the ONNX Runtime that is installed has {' and '.join(here)} only"
        )
        if device == "cuda":
            error.add_note(
                "pip uninstall onnxruntime, then pip install onnxruntime-gpu (the extra agegender-core[gpu])"
            )
        raise error
    return [DEVICES[device], *([DEVICES["cpu"]] if device != "cpu" else [])]


def runtime_reason(error: Exception) -> str:
    """What ONNX Runtime says of an error, without the codes before it and the path that whoever reads it has named.

    >>> runtime_reason(Exception("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from a.onnx failed:Protobuf"))
    'Protobuf'
    """
    text = re.sub(r"^\[ONNXRuntimeError\]\s*:\s*\d+\s*:\s*\w+\s*:\s*", "", str(error).strip())
    return re.sub(r"^Load model from .+? failed:\s*", "", text, flags=re.DOTALL)
