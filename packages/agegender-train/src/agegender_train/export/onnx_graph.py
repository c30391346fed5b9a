"""Functional Keras models as ONNX graphs.

tf2onnx and its like need TensorFlow; the training runs on JAX as well, and networks of two dozen kinds of layers need
no more than this. Inside the graph pictures are (n, c, h, w), as ONNX asks: one transpose follows the input, and one
comes before each flattening, which keeps Keras's order of the weights behind it.
"""

from __future__ import annotations

from typing import Any

import keras
import onnx
from keras import layers
from onnx import helper, numpy_helper

from agegender_train.export.onnx_folding import fold
from agegender_train.export.onnx_layers import converter
from agegender_train.export.onnx_nodes import Graph

OPSET = 17
IR_VERSION = 8
"""What ONNX Runtime reads from 1.11 on."""


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
    """`name`, or for a layer that is used again `name` with a number behind it."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}/use{number}"
    taken.add(free)
    return free


def _inputs(graph: Graph, node: Any, name: str, names: dict[int, str]) -> list[str]:
    """What goes into a node: for a layer its tensors, for an operation such as `x + 3` numbers as well."""
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
