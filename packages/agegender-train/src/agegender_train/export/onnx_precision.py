"""ONNX models with smaller weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnxruntime import quantization

_BATCH = 20
"""Faces at once when the ranges of values are measured: all of a batch's features are in memory."""


def halve(model: onnx.ModelProto) -> None:
    """Makes the weights float16, each with a cast to float32 behind it, so that everything else stays as it is.

    ONNX Runtime casts once, when it loads the file: the file has half the size, and the network the same speed.
    Weights that are out of float16's range and single numbers stay.
    """
    casts = []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size == 1 or np.abs(value).max() > np.finfo(np.float16).max:
            continue
        name, half = tensor.name, f"{tensor.name}/half"
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], name=f"{name}/cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


class _Faces(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Batches of faces, as ONNX Runtime asks for them."""

    def __init__(self, faces: npt.NDArray[np.float32]) -> None:
        self._batches = iter([faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or ``None`` after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}


def quantise(model: onnx.ModelProto, faces: npt.NDArray[np.float32]) -> onnx.ModelProto:
    """The model with 8-bit weights and features, by post-training static quantisation.

    Weights have a scale for each channel (Krishnamoorthi, "Quantizing deep convolutional networks for efficient
    inference", 2018) and features the range that they have for `faces`. The heads stay as they are: the probabilities
    of 101 ages are too small for steps of 1/256.

    Args:
        model: with normalisation folded into the convolutions.
        faces: float32 (n, s, s, 3), preprocessed, as the network will meet them.
    """
    heads = [node.name for node in model.graph.node if node.op_type in ("Gemm", "Softmax")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantization.quantize_static(
            model,
            path,
            _Faces(faces),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=heads,
        )
        return onnx.load(path)
