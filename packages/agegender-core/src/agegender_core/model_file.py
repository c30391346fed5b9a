"""A model file and what it says of itself: the keys of its metadata are spelt here and nowhere else.

A model file is one ``.onnx`` whose metadata carries all that is needed to use it. The same description goes into files
of other kinds (as one JSON object) and is text by key:

- "format": of the description, `FORMAT`; "version": of agegender; "name": of the network; "licence": of the weights.
- "preprocess": a `PreprocessSpec`; "heads": what the outputs mean, see `agegender_core.decoding`.
- "training": what is to be known of the training, an object; "metrics": a list of objects, one for each test set.
- "flip", where it is there: whether the network wants to see faces a second time, mirrored: "1" for each, "0" for none,
  "unsure" for those of whose gender it is unsure.
- "calibration", where it is there: what the heads were calibrated on; "export": how the file was made.

All but the first four and "flip" are JSON. In an ONNX file each key has the prefix `PREFIX`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from .decoding import Decoder
from .decoding import untrained_heads as untrained_heads
from .onnx_runtime import ModelFileError as ModelFileError
from .spec import PreprocessSpec

Description: TypeAlias = Mapping[str, str]
"""What a model says of itself: text by key, without the prefix."""

Heads: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What a model's outputs mean, "age" and "gender"; see `agegender_core.decoding`."""

Flip: TypeAlias = bool | Literal["unsure"]
"""Which faces are seen a second time, mirrored: all, none, or those of whose gender the network is unsure."""

UNSURE: Literal["unsure"] = "unsure"
FLIPS: Mapping[str, Flip] = MappingProxyType({"0": False, "1": True, UNSURE: UNSURE})
"""By their texts in a description."""

FORMAT = "1"
PREFIX = "agegender."
"""Of each key in an ONNX file, whose metadata holds other programs' keys, too."""

_PLAIN = ("format", "version", "name", "licence", "flip")
_REQUIRED = ("format", "preprocess", "heads", "name")


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
    from importlib.metadata import version  # slow to import, and needed here alone

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


def calibrated(description: Description, heads: Heads, flip: Flip, about: Mapping[str, Any]) -> dict[str, str]:
    """The description of a calibrated copy.

    Args:
        description: of the model.
        heads: with what the calibration found.
        flip: which faces it was calibrated with a second look at, mirrored.
        about: what it was calibrated on.
    """
    return {
        **description,
        "heads": json.dumps(heads),
        "flip": next(text for text, value in FLIPS.items() if value == flip),
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


def wants_flip(description: Description) -> Flip:
    """Which faces the model is to see a second time, mirrored; of none, if this version doesn't know what it asks."""
    return FLIPS.get(description.get("flip", ""), False)
