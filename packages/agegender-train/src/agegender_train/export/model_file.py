"""Trained networks as model files: one .onnx that carries all that is needed to use it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from agegender_core.files import write_bytes
from agegender_core.model_file import Description, Heads, describe, to_metadata
from agegender_core.onnx_runtime import open_session
from agegender_core.spec import PreprocessSpec
from agegender_train.export.keras_to_onnx import build_graph

HALF = "/half"
"""What follows the name of a tensor that is kept in half precision, and cast when a runtime loads it."""


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    name: str,
    spec: PreprocessSpec,
    heads: Heads,
    training: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    licence: str,
) -> Path:
    """Writes a functional Keras model as a model file that `agegender_core.load_predictor` reads.

    Args:
        model: takes float32 (n, s, s, 3) with s = ``spec.input_size``.
        path: written as a whole or not at all.
        name: as the five that follow, see `agegender_core.model_file.describe`.
        spec: how its faces are preprocessed.
        heads: what its outputs mean.
        training: what is to be known of the training.
        metrics: figures, by test set.
        licence: of the weights.

    Returns:
        `path`.

    Raises:
        ValueError: a layer that can't be converted, a head without its output, or an input that `spec` doesn't give.
        OSError: the file can't be written.
    """
    if tuple(model.input_shape[1:]) != (spec.input_size, spec.input_size, 3) or spec.layout != "nhwc":
        raise ValueError(
            f"spec must give the model's input {model.input_shape}, got {spec.input_size} px {spec.layout}"
        )
    if missing := {head["output"] for head in heads.values()} - set(model.output_names):
        raise ValueError(f"heads must name outputs of the model ({', '.join(model.output_names)}), got {missing}")
    graph = build_graph(model)
    described = describe(name=name, spec=spec, heads=heads, training=training, metrics=metrics, licence=licence)
    set_description(graph, described)
    onnx.checker.check_model(graph, full_check=True)
    write_bytes(path, graph.SerializeToString())
    return Path(path)


def set_description(graph: onnx.ModelProto, description: Description) -> None:
    """Makes `description` the metadata of an ONNX model."""
    helper.set_model_props(graph, to_metadata(description))


def parity(model: Any, path: str | os.PathLike[str], batch: npt.NDArray[np.float32]) -> float:
    """The greatest difference between the outputs of a Keras model and of its model file.

    Args:
        model: the Keras model.
        path: the model file.
        batch: float32 (n, s, s, 3), preprocessed faces.

    Returns:
        The greatest absolute difference over all outputs, in their units.
    """
    session = open_session(Path(path))
    outputs = dict(
        zip((output.name for output in session.get_outputs()), session.run(None, {"input": batch}), strict=True)
    )
    predicted = model.predict_on_batch(batch)
    return max(float(np.abs(np.asarray(predicted[name]) - value).max()) for name, value in outputs.items())
