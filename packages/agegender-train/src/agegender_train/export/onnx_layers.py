"""Keras's layers as ONNX nodes: one converter a class of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import layers

from agegender_train.export.onnx_activations import activate, is_linear, relu
from agegender_train.export.onnx_nodes import Converter, Graph
from agegender_train.export.onnx_stagewise import stagewise
from agegender_train.models.ssrnet import SoftStagewiseRegression


def converter(layer: Any) -> Converter:
    """What converts this layer, or this operation on tensors.

    Raises:
        ValueError: there is none.
    """
    for kind in type(layer).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    if not isinstance(layer, layers.Layer) and type(layer).__name__ in _OPERATIONS:
        return _fold(_OPERATIONS[type(layer).__name__])
    raise ValueError(f"layer {layer.name!r} is a {type(layer).__name__}, which has no converter to ONNX")


def _constants(graph: Graph, layer: Any, **values: npt.ArrayLike) -> list[str]:
    return [graph.constant(f"{layer.name}/{key}", value) for key, value in values.items()]


def _last_channels(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise ValueError(f"layer {layer.name!r} must have its channels last, got {layer.data_format!r}")


def _window(graph: Graph, layer: Any, x: str, size: Sequence[int], dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Strides and padding of a layer that looks at windows of `size` of `x`.

    The padding is given in numbers: ONNX Runtime knows no SAME_UPPER with dilation.
    """
    _last_channels(layer)
    strides = tuple(layer.strides)
    pads = [0, 0, 0, 0]
    if layer.padding == "same":
        for axis, (length, reach) in enumerate(zip(graph.shapes[x][1:3], size, strict=True)):
            if length is None:
                raise ValueError(f"layer {layer.name!r} must have an input of known size, got {graph.shapes[x]}")
            covered = (reach - 1) * dilation[axis] + 1
            missing = max(0, (-(-length // strides[axis]) - 1) * strides[axis] + covered - length)
            # Keras, as TensorFlow, puts the odd row of padding last.
            pads[axis], pads[axis + 2] = missing // 2, missing - missing // 2
    return {"strides": strides, "pads": pads}


def _linear_name(layer: Any, name: str) -> str:
    """The name of what comes before the activation."""
    return name if is_linear(layer.activation) else f"{name}/linear"


def _bias(graph: Graph, layer: Any) -> list[str]:
    return _constants(graph, layer, bias=np.asarray(layer.bias)) if layer.use_bias else []


def _conv(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    arguments = _constants(graph, layer, kernel=np.asarray(layer.kernel).transpose(3, 2, 0, 1)) + _bias(graph, layer)
    x = graph.add(
        "Conv",
        [*inputs, *arguments],
        _linear_name(layer, name),
        dilations=layer.dilation_rate,
        group=layer.groups,
        **_window(graph, layer, inputs[0], layer.kernel_size, layer.dilation_rate),
    )
    return activate(graph, layer, x, name, rank=4)


def _per_channel(graph: Graph, layer: Any, kernel: Any, arguments: Sequence[str], name: str) -> str:
    """A convolution of each channel with kernels of its own, of shape (h, w, channels, kernels)."""
    height, width, channels, count = kernel.shape
    turned = np.asarray(kernel).transpose(2, 3, 0, 1).reshape(channels * count, 1, height, width)
    return graph.add(
        "Conv",
        [arguments[0], *_constants(graph, layer, depthwise_kernel=turned), *arguments[1:]],
        name,
        dilations=layer.dilation_rate,
        group=channels,
        **_window(graph, layer, arguments[0], layer.kernel_size, layer.dilation_rate),
    )


def _depthwise(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    arguments = [*inputs, *_bias(graph, layer)]
    x = _per_channel(graph, layer, layer.kernel, arguments, _linear_name(layer, name))
    return activate(graph, layer, x, name, rank=4)


def _separable(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    x = _per_channel(graph, layer, layer.depthwise_kernel, inputs, f"{name}/depthwise")
    kernel = np.asarray(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    arguments = _constants(graph, layer, pointwise_kernel=kernel) + _bias(graph, layer)
    return activate(graph, layer, graph.add("Conv", [x, *arguments], _linear_name(layer, name)), name, rank=4)


def _batch_norm(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    if layer.axis not in (-1, len(graph.shapes[inputs[0]]) - 1):
        raise ValueError(f"layer {layer.name!r} must normalise the last axis, got {layer.axis}")
    mean, variance = (np.asarray(value) for value in (layer.moving_mean, layer.moving_variance))
    gamma = np.asarray(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = np.asarray(layer.beta) if layer.center else np.zeros_like(mean)
    arguments = _constants(graph, layer, gamma=gamma, beta=beta, mean=mean, variance=variance)
    return graph.add("BatchNormalization", [*inputs, *arguments], name, epsilon=layer.epsilon)


def _dense(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    if len(graph.shapes[inputs[0]]) != 2:
        raise ValueError(f"layer {layer.name!r} must have a flat input, got shape {graph.shapes[inputs[0]]}")
    arguments = _constants(graph, layer, kernel=np.asarray(layer.kernel)) + _bias(graph, layer)
    x = graph.add("Gemm", [*inputs, *arguments], _linear_name(layer, name))
    return activate(graph, layer, x, name, rank=2)


def _pool(kind: str) -> Converter:
    """Pooling; an average leaves the padding out, in ONNX as in Keras."""

    def convert(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
        window = _window(graph, layer, inputs[0], layer.pool_size)
        return graph.add(kind, inputs, name, kernel_shape=layer.pool_size, **window)

    return convert


def _global_pool(kind: str) -> Converter:
    def convert(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
        _last_channels(layer)
        if layer.keepdims:
            return graph.add(kind, inputs, name)
        return graph.add("Flatten", [graph.add(kind, inputs, f"{name}/pooled")], name, axis=1)

    return convert


def _zero_padding(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    _last_channels(layer)
    (top, bottom), (left, right) = layer.padding
    pads = graph.constant(f"{name}/pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.add("Pad", [*inputs, pads], name)


def _flatten(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    return graph.add("Flatten", [_as_keras_has_it(graph, inputs[0], name)], name, axis=1)


def _as_keras_has_it(graph: Graph, x: str, name: str) -> str:
    """The channels of a picture last, so that a new shape leaves its numbers in Keras's order."""
    return graph.add("Transpose", [x], f"{name}/nhwc", perm=[0, 2, 3, 1]) if len(graph.shapes[x]) == 4 else x


def _reshape(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    target = layer.compute_output_shape(graph.shapes[inputs[0]])
    shape = graph.constant(f"{name}/shape", [0, *target[1:]], np.int64)
    arguments = [_as_keras_has_it(graph, inputs[0], name), shape]
    if len(target) != 4:
        return graph.add("Reshape", arguments, name)
    return graph.add("Transpose", [graph.add("Reshape", arguments, f"{name}/reshaped")], name, perm=[0, 3, 1, 2])


def _rescaling(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    shape = (1, -1, 1, 1) if len(graph.shapes[inputs[0]]) == 4 else (-1,)
    values = {key: np.asarray(getattr(layer, key), np.float32).reshape(shape) for key in ("scale", "offset")}
    scale, offset = _constants(graph, layer, **values)
    return graph.add("Add", [graph.add("Mul", [*inputs, scale], f"{name}/scaled"), offset], name)


def _fold(kind: str) -> Converter:
    """An operation of two tensors over a list of them."""

    def convert(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
        x = inputs[0]
        for number, other in enumerate(inputs[1:], 1):
            x = graph.add(kind, [x, other], name if number == len(inputs) - 1 else f"{name}/{number}")
        return x

    return convert


def _concatenate(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    rank = len(graph.shapes[inputs[0]])
    if layer.axis not in (-1, rank - 1):
        raise ValueError(f"layer {layer.name!r} must join the last axis, got {layer.axis}")
    return graph.add("Concat", inputs, name, axis=1 if rank == 4 else rank - 1)


def _nothing(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    return inputs[0]


def _activation(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    return activate(graph, layer, inputs[0], name, rank=len(graph.shapes[inputs[0]]))


_OPERATIONS = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div"}
"""What `x + 3` and the like are in a functional model, by the names of their classes."""

_CONVERTERS: dict[type[Any], Converter] = {
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.BatchNormalization: _batch_norm,
    layers.Activation: _activation,
    layers.ReLU: relu,
    layers.LeakyReLU: relu,
    layers.AveragePooling2D: _pool("AveragePool"),
    layers.MaxPooling2D: _pool("MaxPool"),
    layers.GlobalAveragePooling2D: _global_pool("GlobalAveragePool"),
    layers.GlobalMaxPooling2D: _global_pool("GlobalMaxPool"),
    layers.ZeroPadding2D: _zero_padding,
    layers.Dense: _dense,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Rescaling: _rescaling,
    layers.Dropout: _nothing,
    layers.SpatialDropout2D: _nothing,
    layers.Identity: _nothing,
    layers.Multiply: _fold("Mul"),
    layers.Add: _fold("Add"),
    layers.Concatenate: _concatenate,
    SoftStagewiseRegression: stagewise,
}
