"""Fine-tuning of a model file: a network begins with its weights, such as those of the built-in models.

Export folds each batch normalisation into the convolution before it (`export.onnx_graph.fold`), so that a file has no
mean and no variance. They are measured anew, on faces: the network then predicts what the file predicts, and in
training normalises its batches as it did before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
from keras import layers
from onnx import numpy_helper

from agegender_train.export.keras_to_onnx import build_graph
from agegender_train.export.model_file import HALF

Tensors = Mapping[str, npt.NDArray[Any]]

_BATCH = 32


def start_from_model_file(model: Any, path: Path, faces: npt.NDArray[np.float32]) -> Any:
    """Sets the weights of `model`, those of its heads included, to those of a model file; returns `model`.

    Args:
        model: as its network builds it.
        path: a file that `agegender_train.export` wrote of the same network with the same options, in float32 or fp16.
        faces: float32 (n, s, s, 3), inputs of the network, on which means and variances are measured. Some thousand
            are enough.

    Raises:
        ValueError: the file is of another network, or quantised; the message says where they differ.
    """
    tensors = _weights(onnx.load(path))
    for name, value in _weights(build_graph(model)).items():
        if name not in tensors:
            raise ValueError(f"{path} is of another network, or quantised: it has no weights {name}")
        if tensors[name].shape != value.shape:
            raise ValueError(
                f"{path} is of another network: its weights {name} have shape {tensors[name].shape}, not {value.shape}"
            )
    norms = [layer for layer in model.layers if f"{layer.name}/folded_kernel" in tensors]
    for norm in norms:
        convolution = norm.input._keras_history.operation
        tensors[f"{convolution.name}/{_folded_into(convolution)}"] = tensors[f"{norm.name}/folded_kernel"]
        tensors[f"{convolution.name}/bias"] = np.zeros_like(tensors[f"{norm.name}/folded_bias"])
    for layer in model.layers:
        _set(layer, tensors)
    biases = [tensors[f"{norm.name}/folded_bias"] for norm in norms]
    for norm, bias in zip(norms, biases, strict=True):
        _set_norm(norm, bias, 0.0, 1.0)
    if norms:  # the network is whole now, and gives each of them what it will normalise
        for norm, bias, mean, variance in zip(norms, biases, *_moments(model, norms, faces), strict=True):
            _set_norm(norm, bias, mean, variance)
    return model


def _weights(graph: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a graph that are weights of layers, in float32."""
    found = {}
    for tensor in graph.graph.initializer:
        name = tensor.name.removesuffix(HALF)
        value = numpy_helper.to_array(tensor)
        if name.rpartition("/")[2] in {*_PARTS, *_FOLDED} and value.dtype in (np.float32, np.float16):
            found[name] = value.astype(np.float32)
    return found


_FOLDED = ("folded_kernel", "folded_bias")
_PARTS = MappingProxyType(
    {name: name for name in ("kernel", "depthwise_kernel", "pointwise_kernel", "bias", "gamma", "beta")}
    | {"mean": "moving_mean", "variance": "moving_variance"}
)
"""How `export.keras_to_onnx` names weights, after the layer's name, and what they are called in Keras."""


def _folded_into(convolution: Any) -> str:
    """Which kernel of a layer meets the normalisation after it."""
    kinds = {layers.SeparableConv2D: "pointwise_kernel", layers.DepthwiseConv2D: "depthwise_kernel"}
    return next((part for kind, part in kinds.items() if isinstance(convolution, kind)), "kernel")


def _set(layer: Any, tensors: Tensors) -> None:
    """Sets those weights of a layer that `tensors` has under its name."""
    for name, attribute in _PARTS.items():
        value, variable = tensors.get(f"{layer.name}/{name}"), getattr(layer, attribute, None)
        if name == "depthwise_kernel" and variable is None:
            variable = getattr(layer, "kernel", None)  # of a layer that has no other
        if value is None or variable is None:
            continue
        if name == "depthwise_kernel":
            height, width, channels, count = variable.shape
            value = value.reshape(channels, count, height, width).transpose(2, 3, 0, 1)
        elif value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        variable.assign(value)


def _set_norm(norm: Any, bias: npt.NDArray[Any], mean: Any, variance: Any) -> None:
    """Makes a normalisation add `bias` and change nothing else, for inputs of this mean and variance.

    Without a factor of its own it can't undo its division: the variance must then be 1, which that of its inputs nearly
    is, as the folded kernel has been divided by the deviation already. Without a bias the mean makes up for it.
    """
    zeros = np.zeros_like(bias)
    if norm.scale:
        norm.gamma.assign(np.sqrt(zeros + variance + norm.epsilon))
        norm.moving_variance.assign(zeros + variance)
    else:
        norm.moving_variance.assign(zeros + 1 - norm.epsilon)
    if norm.center:
        norm.beta.assign(bias + mean)
        norm.moving_mean.assign(zeros + mean)
    else:
        norm.moving_mean.assign(-bias)


def _moments(
    model: Any, norms: list[Any], faces: npt.NDArray[np.float32]
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """Mean and variance of each channel of what `norms` normalise."""
    inner = keras.Model(model.inputs[0], [norm.input for norm in norms])
    sums = [np.zeros((2, norm.input.shape[-1])) for norm in norms]
    counts = np.zeros(len(norms))
    for batch in _batches(faces):
        for number, values in enumerate(inner.predict_on_batch(batch)):
            flat = np.asarray(values, np.float32).reshape(-1, values.shape[-1])
            sums[number] += flat.sum(0, dtype=np.float64), np.square(flat).sum(0, dtype=np.float64)
            counts[number] += len(flat)
    means = [total[0] / count for total, count in zip(sums, counts, strict=True)]
    variances = [
        np.maximum(total[1] / count - mean**2, 0) for total, count, mean in zip(sums, counts, means, strict=True)
    ]
    return means, variances


def _batches(faces: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    # The rest would be a batch of another size, which TensorFlow compiles anew.
    whole = len(faces) // _BATCH * _BATCH or len(faces)
    yield from np.split(faces[:whole], range(_BATCH, whole, _BATCH))
