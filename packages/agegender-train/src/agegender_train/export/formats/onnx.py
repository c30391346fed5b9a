"""ONNX, which `agegender_core.load_predictor` reads, in 32 and 16 bits and quantised to 8."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import checker, helper, numpy_helper

from agegender_core import onnx_runtime
from agegender_core.onnx_runtime import open_session
from agegender_train.export.formats._format import Format, Inference, Inputs, faces_for
from agegender_train.export.keras_to_onnx import build_graph
from agegender_train.export.model_file import HALF, set_description
from agegender_train.export.trained import Outputs, Trained

quantization = onnx_runtime.part("quantization")

_BATCH = 20
"""Faces at once when the ranges of values are measured: all features of a batch are in memory."""

_WHOLE = 0.05
"""So many of the weights, those of the smallest tensors, stay in 32 bits: three quarters of the tensors, whose casts
would cost more time at each start than their bytes are worth."""


def make(trained: Trained, precision: str, faces: Inputs | None = None) -> onnx.ModelProto:
    """The ONNX model of a network in a precision, without its description."""
    graph = build_graph(trained.model)
    if precision == "fp16":
        _halve(graph)
    if precision == "int8":
        graph = _quantise(graph, faces_for(precision, faces))
    return graph


def use(model: bytes) -> Inference:
    """The inference of an ONNX model, given as its bytes, on one thread."""
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]

    def run(batch: Inputs) -> Outputs:
        return dict(zip(names, session.run(names, {"input": batch}), strict=True))

    return run


def _halve(model: onnx.ModelProto) -> None:
    """Stores nearly all weights as float16, each tensor followed by a cast to float32, so that all else stays as it is.

    ONNX Runtime casts once, when it loads the file: the file has half the size, and the network the same speed.
    Weights beyond float16's range stay, and so do those of the smallest tensors; see `_WHOLE`.
    """
    fitting = [tensor for tensor in model.graph.initializer if _fits_float16(numpy_helper.to_array(tensor))]
    fitting.sort(key=_size)
    whole = np.cumsum([_size(tensor) for tensor in fitting]) <= _WHOLE * sum(map(_size, fitting))
    halved = {tensor.name for tensor, stays in zip(fitting, whole, strict=True) if not stays}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name in halved:
            name, half = tensor.name, tensor.name + HALF
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [name], name=f"{name}/cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _fits_float16(value: Inputs) -> bool:
    return bool(value.dtype == np.float32 and np.abs(value).max() <= np.finfo(np.float16).max)


def _size(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims))


class _Faces(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
    """Batches of faces as ONNX Runtime's calibration reads them."""

    def __init__(self, faces: Inputs) -> None:
        self._batches = iter([faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or ``None`` after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}


def _quantise(model: onnx.ModelProto, faces: Inputs) -> onnx.ModelProto:
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
        # Its advice, to fold normalisation first, has been followed, but it can't see that.
        logging.disable(logging.WARNING)
        try:
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
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(path)


def _write(trained: Trained, path: Path, precision: str, faces: Inputs | None) -> None:
    graph = make(trained, precision, faces)
    set_description(graph, trained.description)
    checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString())


FORMAT = Format("onnx", ".onnx", ("fp32", "fp16", "int8"), _write, lambda path: use(path.read_bytes()))
