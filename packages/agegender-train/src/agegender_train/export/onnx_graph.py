"""Functional Keras models as ONNX graphs, one converter a class of layers.

tf2onnx and its like need TensorFlow; the training runs on JAX as well, and a network of a dozen kinds of layers needs
no more than this. Inside the graph pictures are (n, c, h, w), as ONNX asks: one transpose follows the input, and one
comes before each flattening, which keeps Keras's order of the weights behind it.
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

from agegender_train.models.ssrnet import SoftStagewiseRegression

OPSET = 17
IR_VERSION = 8
"""What ONNX Runtime reads from 1.11 on."""


class Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node; its only output bears its name, which is returned."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant tensor; returns its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name


Converter: TypeAlias = Callable[[Graph, Any, list[str], str], str]
"""Adds a layer to the graph: (graph, layer, names of its inputs, name for its output) -> the output's name."""


def build_graph(model: keras.Model) -> onnx.ModelProto:
    """The ONNX model of a functional Keras model, in inference.

    Its input "input" is float32 (n, h, w, c); its outputs bear the names of the layers that make them.

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
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer = node.operation
            if isinstance(layer, layers.InputLayer):
                continue
            inputs = [names[id(tensor)] for tensor in node.input_tensors]
            names[id(node.output_tensors[0])] = _converter(layer)(graph, layer, inputs, layer.name)
    outputs = []
    for name, tensor in zip(model.output_names, model.outputs, strict=True):
        if len(tensor.shape) == 4:
            raise ValueError(f"output {name!r} must be flat, got shape {tensor.shape}")
        if names[id(tensor)] != name:
            graph.add("Identity", [names[id(tensor)]], name)
        outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *tensor.shape[1:]]))
    inputs_info = [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["n", *source.shape[1:]])]
    body = helper.make_graph(graph.nodes, model.name, inputs_info, outputs, graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="agegender")


def _converter(layer: Any) -> Converter:
    for kind in type(layer).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    raise ValueError(f"layer {layer.name!r} is a {type(layer).__name__}, which has no converter to ONNX")


def _weights(graph: Graph, layer: Any, name: str, value: Any) -> str:
    return graph.constant(f"{layer.name}/{name}", value)


def _activated(graph: Graph, layer: Any, activation: Any, x: str, name: str) -> str:
    kind = _ACTIVATIONS.get(getattr(activation, "__name__", ""))
    if kind is None:
        raise ValueError(f"layer {layer.name!r} has activation {activation!r}, which has no converter to ONNX")
    return graph.add(kind, [x], name, **({"axis": -1} if kind == "Softmax" else {}))


def _conv(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
    arguments = [inputs[0], _weights(graph, layer, "kernel", kernel)]
    if layer.use_bias:
        arguments.append(_weights(graph, layer, "bias", np.asarray(layer.bias)))
    x = graph.add(
        "Conv",
        arguments,
        f"{name}_linear",
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        auto_pad=_padding(layer),
    )
    return _activated(graph, layer, layer.activation, x, name)


def _padding(layer: Any) -> str:
    if layer.data_format != "channels_last":
        raise ValueError(f"layer {layer.name!r} must have its channels last, got {layer.data_format!r}")
    return {"valid": "VALID", "same": "SAME_UPPER"}[layer.padding]


def _batch_norm(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    if layer.axis not in (-1, 3):
        raise ValueError(f"layer {layer.name!r} must normalise the last axis, got {layer.axis}")
    mean, variance = (np.asarray(value) for value in (layer.moving_mean, layer.moving_variance))
    gamma = np.asarray(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = np.asarray(layer.beta) if layer.center else np.zeros_like(mean)
    values = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    arguments = [_weights(graph, layer, key, value) for key, value in values.items()]
    return graph.add("BatchNormalization", [*inputs, *arguments], name, epsilon=layer.epsilon)


def _dense(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    if len(layer.input.shape) != 2:
        raise ValueError(f"layer {layer.name!r} must have a flat input, got shape {layer.input.shape}")
    arguments = [inputs[0], _weights(graph, layer, "kernel", np.asarray(layer.kernel))]
    if layer.use_bias:
        arguments.append(_weights(graph, layer, "bias", np.asarray(layer.bias)))
    return _activated(graph, layer, layer.activation, graph.add("Gemm", arguments, f"{name}_linear"), name)


def _pool(kind: str) -> Converter:
    def convert(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
        return graph.add(
            kind, inputs, name, kernel_shape=layer.pool_size, strides=layer.strides, auto_pad=_padding(layer)
        )

    return convert


def _flatten(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    x = inputs[0]
    if len(layer.input.shape) == 4:
        x = graph.add("Transpose", [x], f"{name}_nhwc", perm=[0, 2, 3, 1])
    return graph.add("Flatten", [x], name, axis=1)


def _fold(kind: str) -> Converter:
    """An operation of two tensors over a list of them."""

    def convert(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
        x = inputs[0]
        for number, other in enumerate(inputs[1:], 1):
            x = graph.add(kind, [x, other], name if number == len(inputs) - 1 else f"{name}_{number}")
        return x

    return convert


def _concatenate(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    rank = len(layer.output.shape)
    if layer.axis not in (-1, rank - 1):
        raise ValueError(f"layer {layer.name!r} must join the last axis, got {layer.axis}")
    return graph.add("Concat", inputs, name, axis=1 if rank == 4 else rank - 1)


def _stagewise(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
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


_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax", "linear": "Identity"}
_CONVERTERS: dict[type[Any], Converter] = {
    layers.Conv2D: _conv,
    layers.BatchNormalization: _batch_norm,
    layers.Activation: lambda graph, layer, inputs, name: _activated(graph, layer, layer.activation, inputs[0], name),
    layers.AveragePooling2D: _pool("AveragePool"),
    layers.MaxPooling2D: _pool("MaxPool"),
    layers.Dense: _dense,
    layers.Flatten: _flatten,
    layers.Dropout: lambda graph, layer, inputs, name: graph.add("Identity", inputs, name),
    layers.Multiply: _fold("Mul"),
    layers.Add: _fold("Add"),
    layers.Concatenate: _concatenate,
    SoftStagewiseRegression: _stagewise,
}
