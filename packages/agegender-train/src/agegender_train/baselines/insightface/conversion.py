"""InsightFace's gender-age network as an ONNX model, and as one of our model files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from agegender_core.files import write_bytes
from agegender_core.model_file import describe, to_metadata
from agegender_core.spec import PreprocessSpec
from agegender_train.baselines.insightface.mxnet_files import read_network
from agegender_train.baselines.insightface.mxnet_to_onnx import OnnxGraph, build_network, to_model

NAME = "insightface"
INPUT_SIZE = 112
PAIRS = 100
LICENCE = "InsightFace's model terms: non-commercial research only"
"""From InsightFace's page of models, for all that it trained."""
STD = 10.0
"""Years: root of the mean squared error on 7,496 faces of UTKFace; 9.5 to 10.3, depending on the landmarks."""
SPEC = PreprocessSpec(input_size=INPUT_SIZE, margin=0.27, layout="nchw")
"""The margin with the least error on UTKFace. InsightFace's own square lies higher than the middle of a chip."""
HEADS: dict[str, dict[str, Any]] = {
    "age": {"output": "age", "decode": "years", "std": STD},
    "gender": {"output": "gender", "decode": "softmax"},
}


def build_insightface(folder: str | os.PathLike[str]) -> onnx.ModelProto:
    """The network in `folder` as an ONNX model without metadata.

    Its input "data" is float32 RGB (n, 3, 112, 112), 0..255. Its outputs: "age", years (n, 1): in how many of the 100
    pairs the second is the greater; "gender", probabilities of female and male (n, 2); and the network's own "fc1"
    (n, 202), two logits of the gender and the pairs.

    Raises:
        OSError: a file can't be read.
        ValueError: it is another network; the message names the folder.
    """
    symbol, params = read_network(folder)
    try:
        network, outputs = build_network(symbol, params)
        _add_heads(network, outputs[0])
        shapes = {"age": [1], "gender": [2], outputs[0]: [2 + 2 * PAIRS]}
        return to_model(network, (3, INPUT_SIZE, INPUT_SIZE), shapes)
    except ValueError as error:
        raise ValueError(f"{folder} holds no gender-age network of InsightFace's: {error}") from None


def _add_heads(network: OnnxGraph, source: str) -> None:
    def numbers(name: str, *values: int) -> str:
        return network.constant(name, values, np.int64)

    columns = numbers("columns", 1)
    begin, end = numbers("gender_begin", 0), numbers("gender_end", 2)
    logits = network.add("Slice", [source, begin, end, columns], "gender_logits")
    network.add("Softmax", [logits], "gender", axis=1)
    rest = network.add("Slice", [source, end, numbers("age_end", 2 + 2 * PAIRS), columns], "age_logits")
    pairs = network.add("Reshape", [rest, numbers("pairs_shape", -1, PAIRS, 2)], "age_pairs")
    older = network.add("ArgMax", [pairs], "age_older", axis=2, keepdims=0)
    years = network.add("Cast", [older], "age_years", to=onnx.TensorProto.FLOAT)
    network.add("ReduceSum", [years, columns], "age", keepdims=1)


def convert_insightface(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Writes the network in `folder` as a model file, which `agegender_core.load_predictor` reads.

    The model file sees the middle of dlib's chips, which only approximates InsightFace's own alignment by five
    landmarks: to evaluate the network take `InsightFace`.

    Returns:
        `out` as a path.

    Raises:
        OSError: a file can't be read or written.
        ValueError: it is another network.
    """
    model = build_insightface(folder)
    training = {"data": "not published with the network", "source": "InsightFace, gender-age, MXNet"}
    described = describe(name=NAME, spec=SPEC, heads=HEADS, training=training, metrics=[], licence=LICENCE)
    helper.set_model_props(model, to_metadata(described))
    write_bytes(out, model.SerializeToString())
    return Path(out)
