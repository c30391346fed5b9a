"""Functional Keras models as ONNX graphs: one converter a class of layers.

tf2onnx and its like need TensorFlow, but training runs on JAX as well, and networks of two dozen kinds of layers need
no more than this. Inside the graph tensors are (n, c, h, w), as ONNX asks: one transpose follows the input, and one
comes before each flattening, which keeps the order of the weights after it as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import onnx
from keras import layers
from onnx import helper, numpy_helper

from agegender_train.export.onnx_graph import Graph, fold
from agegender_train.models.ssrnet import SoftStagewiseRegression

OPSET = 17
IR_VERSION = 8
"""What ONNX Runtime reads from 1.11 on."""

Converter: TypeAlias = Callable[[Graph, Any, list[str], str], str]
"""Adds a layer to the graph: (graph, layer, names of its inputs, name for its output) -> the output's name.

Tensors are (n, c, h, w) in the graph, where Keras has (n, h, w, c). A layer that changes nothing returns its input's
name.
"""


def build_graph(model: keras.Model) -> onnx.ModelProto:
    """The ONNX model of a functional Keras model, in inference.

    Its input "input" is float32 (n, h, w, c); its outputs have the names of the layers that make them.

    Raises:
        ValueError: the model is not functional or has several inputs, or a layer or its setting has no converter.
    """
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1:
        raise ValueError(f"model must be functional with one input, got {type(model).__name__} {model.name!r}")
    graph = Graph()
    source = model.inputs[0]
    names = {id(source): "input"}
    if len(source.shape) == 4:
        names[id(source)] = graph.add("Transpose", ["input"], "input_nchw", perm=[0, 3, 1, 2])
    graph.shapes[names[id(source)]] = tuple(source.shape)
    taken: set[str] = set()
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer = node.operation
            if isinstance(layer, layers.InputLayer):
                continue
            name = _free_name(layer.name, taken)
            inputs = _inputs(graph, node, name, names)
            made = node.output_tensors[0]
            names[id(made)] = converter(layer)(graph, layer, inputs, name)
            graph.shapes[names[id(made)]] = tuple(made.shape)
    outputs = []
    for name, tensor in zip(model.output_names, model.outputs, strict=True):
        if len(tensor.shape) == 4:
            raise ValueError(f"output {name!r} must be flat, got shape {tensor.shape}")
        if names[id(tensor)] != name:
            graph.add("Identity", [names[id(tensor)]], name)
        outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *tensor.shape[1:]]))
    fold(graph, model.output_names)
    inputs_info = [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["n", *source.shape[1:]])]
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    body = helper.make_graph(graph.nodes, model.name, inputs_info, outputs, constants)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="agegender")


def _free_name(name: str, taken: set[str]) -> str:
    """`name`, or for a layer that is used again `name` with a number appended."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}/use{number}"
    taken.add(free)
    return free


def _inputs(graph: Graph, node: Any, name: str, names: dict[int, str]) -> list[str]:
    """The inputs of a node: for a layer its tensors, for an operation such as `x + 3` numbers as well."""
    if isinstance(node.operation, layers.Layer):
        return [names[id(tensor)] for tensor in node.input_tensors]
    inputs = []
    for position, argument in enumerate(node.arguments.args):
        if isinstance(argument, int | float):
            inputs.append(graph.constant(f"{name}/argument{position}", argument))
        elif id(argument) in names:
            inputs.append(names[id(argument)])
        else:
            raise ValueError(f"operation {name!r} must take tensors and numbers, got {type(argument).__name__}")
    return inputs


def converter(layer: Any) -> Converter:
    """The converter of this layer, or of this operation on tensors.

    Raises:
        ValueError: there is none.
    """
    for kind in type(layer).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    if not isinstance(layer, layers.Layer) and type(layer).__name__ in _OPERATIONS:
        return _chain(_OPERATIONS[type(layer).__name__])
    raise ValueError(f"layer {layer.name!r} is a {type(layer).__name__}, which has no converter to ONNX")


def _constants(graph: Graph, layer: Any, **values: npt.ArrayLike) -> list[str]:
    return [graph.constant(f"{layer.name}/{key}", value) for key, value in values.items()]


def _last_channels(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise ValueError(f"layer {layer.name!r} must have its channels last, got {layer.data_format!r}")


def _window(graph: Graph, layer: Any, x: str, size: Sequence[int], dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Strides and padding of a layer that moves a window of `size` over `x`.

    The padding is given in numbers: ONNX Runtime has no SAME_UPPER with dilation.
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
    """The name of the node before the activation."""
    return name if _is_linear(layer.activation) else f"{name}/linear"


def _bias(graph: Graph, layer: Any) -> list[str]:
    return _constants(graph, layer, bias=np.asarray(layer.bias)) if layer.use_bias else []


_ACTIVATIONS: dict[str, str] = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "hard_silu": "HardSwish",
    "elu": "Elu",
}


def _is_linear(activation: Any) -> bool:
    """Whether an activation changes nothing."""
    return activation is None or getattr(activation, "__name__", "") == "linear"


def _activate(graph: Graph, layer: Any, x: str, name: str, rank: int) -> str:
    """Adds the activation of `layer` to the graph, on a tensor with `rank` axes.

    Raises:
        ValueError: it has no converter.
    """
    activation = layer.activation
    if _is_linear(activation):
        return x
    kind = getattr(activation, "__name__", "")
    if kind == "relu6":
        return _clip(graph, x, 6.0, name)
    if kind == "silu":
        return graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{name}/sigmoid")], name)
    if kind == "hard_sigmoid":
        return graph.add("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)
    if kind not in _ACTIVATIONS:
        raise ValueError(f"layer {layer.name!r} has activation {activation!r}, which has no converter to ONNX")
    # Keras takes the softmax over the channels, which are the second axis here.
    axis = {"axis": 1 if rank == 4 else -1} if kind == "softmax" else {}
    return graph.add(_ACTIVATIONS[kind], [x], name, **axis)


def _clip(graph: Graph, x: str, highest: float, name: str) -> str:
    """Adds a node that limits values to [0, `highest`]."""
    bounds = [graph.constant(f"{name}/{key}", value) for key, value in (("lowest", 0.0), ("highest", highest))]
    return graph.add("Clip", [x, *bounds], name)


def _relu(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    """Converts a ReLU layer, with its highest value or its slope below zero."""
    slope, highest = float(layer.negative_slope), getattr(layer, "max_value", None)
    if getattr(layer, "threshold", 0.0) or (slope and highest is not None):
        raise ValueError(
            f"layer {layer.name!r} has a threshold, or a slope and a highest value, which have no converter"
        )
    if highest is not None:
        return _clip(graph, inputs[0], float(highest), name)
    if slope:
        return graph.add("LeakyRelu", inputs, name, alpha=slope)
    return graph.add("Relu", inputs, name)


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
    return _activate(graph, layer, x, name, rank=4)


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
    return _activate(graph, layer, x, name, rank=4)


def _separable(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    x = _per_channel(graph, layer, layer.depthwise_kernel, inputs, f"{name}/depthwise")
    kernel = np.asarray(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    arguments = _constants(graph, layer, pointwise_kernel=kernel) + _bias(graph, layer)
    return _activate(graph, layer, graph.add("Conv", [x, *arguments], _linear_name(layer, name)), name, rank=4)


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
    return _activate(graph, layer, x, name, rank=2)


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
    """Moves the channels last, so that a reshape leaves the numbers in Keras's order."""
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


def _chain(kind: str) -> Converter:
    """An operation of two tensors applied along a list of them."""

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
    return _activate(graph, layer, inputs[0], name, rank=len(graph.shapes[inputs[0]]))


def _stagewise(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    """Converts SSR-Net's soft stagewise regression."""

    def scalar(key: str, value: float) -> str:
        return graph.constant(f"{name}/{key}", value)

    one, index_weight = scalar("one", 1.0), scalar("lambda_index", layer.lambda_index)
    width_weight, axis = scalar("lambda_width", layer.lambda_width), graph.constant(f"{name}/axis", [1], np.int64)
    total, bin_count = "", ""
    for stage, bins in enumerate(layer.stages):
        p, delta, eta = inputs[3 * stage : 3 * stage + 3]
        here = f"{name}/stage{stage + 1}"
        offset = graph.add("Mul", [eta, index_weight], f"{here}/offset")
        index = graph.add("Add", [offset, graph.constant(f"{here}/bins", np.arange(bins))], f"{here}/index")
        weighted = graph.add("Mul", [p, index], f"{here}/weighted")
        expected = graph.add("ReduceSum", [weighted, axis], f"{here}/expected", keepdims=1)
        change = graph.add("Mul", [delta, width_weight], f"{here}/change")
        width = graph.add("Add", [change, one], f"{here}/width")
        count = graph.add("Mul", [width, scalar(f"stage{stage + 1}/count", bins)], f"{here}/bin_count")
        bin_count = graph.add("Mul", [bin_count, count], f"{here}/all_bins") if bin_count else count
        term = graph.add("Div", [expected, bin_count], f"{here}/term")
        total = graph.add("Add", [total, term], f"{here}/total") if total else term
    return graph.add("Mul", [total, scalar("value_range", layer.value_range)], name)


_OPERATIONS = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div"}
"""Operations such as `x + 3` in a functional model, by the names of their classes."""

_CONVERTERS: dict[type[Any], Converter] = {
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.BatchNormalization: _batch_norm,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _relu,
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
    layers.Multiply: _chain("Mul"),
    layers.Add: _chain("Add"),
    layers.Concatenate: _concatenate,
    SoftStagewiseRegression: _stagewise,
}
