"""MXNet's graph and weights as an ONNX model, in inference: the operations that the published networks use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from agegender_train.baselines.insightface.mxnet_files import Node, Symbol

INPUT = "data"
OPSET, IR_VERSION = 17, 8
"""What ONNX Runtime reads from 1.11 on."""

_TUPLE = re.compile(r"[(\[][\d\s,L]*[)\]]")
_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}


class OnnxGraph:
    """An ONNX graph in the making, with the weights for it.

    Attributes:
        params: arrays by MXNet's names.
        nodes: in the order in which they are computed.
        constants: tensors by name.
        ranks: number of axes of each tensor that is no constant: 4 for (n, c, h, w), 2 for (n, k).
    """

    def __init__(self, params: Mapping[str, npt.NDArray[Any]]) -> None:
        self.params = params
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.ranks: dict[str, int] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node; its only output has the node's name, which is returned."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        self.ranks[name] = 2 if kind in ("Flatten", "Gemm") else self.ranks[inputs[0]]
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant tensor; returns its name."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name


Operator: TypeAlias = Callable[[OnnxGraph, Node, list[str]], str]
"""Adds a node to the graph: (network, node, names of its inputs) -> the output's name."""


def build_network(symbol: Symbol, params: Mapping[str, npt.NDArray[Any]]) -> tuple[OnnxGraph, list[str]]:
    """The nodes of a network whose input "data" is float32 (n, c, h, w).

    Args:
        symbol: the graph.
        params: its weights by name.

    Returns:
        The nodes and constants, to which more may be added, and the names of the outputs in the order of the symbol's.

    Raises:
        ValueError: an operation or one of its settings has no converter, or a weight is missing.
    """
    network = OnnxGraph(params)
    network.ranks[INPUT] = 4
    names: list[str] = []
    for node in symbol.nodes:
        if node.op == "null":
            names.append(node.name)
            continue
        if any(output != 0 for _, output in node.inputs if symbol.nodes[_].op != "null"):
            raise ValueError(f"the node {node.name} reads a second output of a node, which has no converter")
        inputs = [names[source] for source, _ in node.inputs]
        _add_weights(network, symbol, node)
        convert = _operator(node)
        if not inputs or inputs[0] not in network.ranks:
            raise ValueError(f"{node.op} (node {node.name}) must read the output of another or {INPUT!r}")
        try:
            names.append(convert(network, node, inputs))
        except IndexError:
            raise ValueError(f"{node.op} (node {node.name}) has too few inputs ({len(inputs)})") from None
    if any(output != 0 for _, output in symbol.heads):
        raise ValueError("an output of the network is the second of a node, which has no converter")
    return network, [names[head] for head, _ in symbol.heads]


def _add_weights(network: OnnxGraph, symbol: Symbol, node: Node) -> None:
    for source, _ in node.inputs:
        name = symbol.nodes[source].name
        if symbol.nodes[source].op != "null" or name == INPUT or name in network.constants:
            continue
        if name in network.params:
            network.constant(name, network.params[name])
        elif not name.endswith("label"):
            raise ValueError(f"the weights have no {name!r}, which the node {node.name} needs")


def to_model(
    network: OnnxGraph, input_shape: tuple[int, int, int], outputs: Mapping[str, Sequence[int]]
) -> onnx.ModelProto:
    """The ONNX model of a network, checked.

    Args:
        network: its nodes and constants.
        input_shape: of one input: c, h, w.
        outputs: the shape of each output without its first axis, by name.

    Raises:
        ValueError: the nodes are inconsistent, or an output has another shape.
    """
    used = {name for node in network.nodes for name in node.input}
    graph = helper.make_graph(
        network.nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", *input_shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in network.constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"graph and weights don't fit together: {error}") from None
    return model


def _operator(node: Node) -> Operator:
    """The converter of a node. Raises ValueError for an unknown operation."""
    if node.op not in OPERATORS:
        raise ValueError(
            f"the operation {node.op} (node {node.name}) has no converter; known are {', '.join(OPERATORS)}"
        )
    return OPERATORS[node.op]


def _number(node: Node, name: str, default: float) -> float:
    try:
        return float(node.attributes.get(name, default))
    except ValueError:
        raise ValueError(f"{node.name}: {name} must be a number, got {node.attributes[name]!r}") from None


def _flag(node: Node, name: str, default: bool) -> bool:
    return node.attributes.get(name, str(default)) in ("True", "true", "1")


def _pair(node: Node, name: str, default: int | None = None) -> list[int]:
    text = node.attributes.get(name, "()")
    numbers = [int(number) for number in re.findall(r"\d+", text)] if _TUPLE.fullmatch(text) else []
    if not numbers and default is not None and text in ("()", "[]"):
        numbers = [default, default]
    if len(numbers) != 2 or max(numbers) > 4096:
        raise ValueError(f"{node.name}: {name} must be two numbers up to 4096, got {text!r}")
    return numbers


def _require(node: Node, name: str, *allowed: str) -> None:
    """Raises ValueError if a setting is given and is none of `allowed`."""
    value = node.attributes.get(name, "None")
    if value not in ("None", "", *allowed):
        raise ValueError(f"{node.op} with {name}={value} (node {node.name}) has no converter")


def _weights(network: OnnxGraph, name: str) -> npt.NDArray[np.float32]:
    if name not in network.params:
        raise ValueError(f"the weights have no {name!r}")
    return network.params[name].astype(np.float32)


def _convolution(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "layout", "NCHW")
    pad = _pair(node, "pad", 0)
    return network.add(
        "Conv",
        inputs[:2] if _flag(node, "no_bias", False) else inputs[:3],
        node.name,
        kernel_shape=_pair(node, "kernel"),
        strides=_pair(node, "stride", 1),
        dilations=_pair(node, "dilate", 1),
        pads=pad + pad,
        group=int(_number(node, "num_group", 1)),
    )


def _batch_norm(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "axis", "1")
    if len(inputs) != 5:
        raise ValueError(f"{node.name}: BatchNorm must have 5 inputs, got {len(inputs)}")
    if _flag(node, "fix_gamma", True):
        # MXNet ignores the gamma in the file.
        inputs[1] = network.constant(f"{node.name}_ones", np.ones_like(_weights(network, inputs[1])))
    return network.add("BatchNormalization", inputs, node.name, epsilon=_number(node, "eps", 1e-3))


def _activation(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "act_type", *_ACTIVATIONS)
    return network.add(_ACTIVATIONS[node.attributes.get("act_type", "relu")], inputs, node.name)


def _leaky_relu(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "act_type", "prelu", "leaky", "elu")
    kind, slope = node.attributes.get("act_type", "leaky"), _number(node, "slope", 0.25)
    if kind == "prelu":
        gamma = _weights(network, inputs[1]).reshape(-1)
        # One slope a channel. ONNX aligns shapes at their ends, and (n, c, h, w) has two axes after the channels.
        shape = (-1, 1, 1) if network.ranks[inputs[0]] == 4 else (-1,)
        return network.add(
            "PRelu", [inputs[0], network.constant(f"{node.name}_slope", gamma.reshape(shape))], node.name
        )
    return network.add("LeakyRelu" if kind == "leaky" else "Elu", inputs[:1], node.name, alpha=slope)


def _pooling(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    kind = node.attributes.get("pool_type", "max")
    _require(node, "pool_type", "max", "avg")
    _require(node, "layout", "NCHW")
    _require(node, "pooling_convention", "valid", *(["full"] if kind == "max" else []))
    if _flag(node, "global_pool", False):
        return network.add("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", inputs, node.name)
    pad, ceil = _pair(node, "pad", 0), node.attributes.get("pooling_convention") == "full"
    settings: dict[str, Any] = (
        {} if kind == "max" else {"count_include_pad": int(_flag(node, "count_include_pad", True))}
    )
    if ceil and any(pad):
        raise ValueError(f"Pooling with pooling_convention=full and pad={pad} (node {node.name}) has no converter")
    return network.add(
        "MaxPool" if kind == "max" else "AveragePool",
        inputs,
        node.name,
        kernel_shape=_pair(node, "kernel"),
        strides=_pair(node, "stride", 1),
        pads=pad + pad,
        ceil_mode=int(ceil),
        **settings,
    )


def _fully_connected(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "flatten", "True", "1")
    rows = network.add("Flatten", inputs[:1], f"{node.name}_rows", axis=1)
    rest = inputs[1:2] if _flag(node, "no_bias", False) else inputs[1:3]
    return network.add("Gemm", [rows, *rest], node.name, transB=1)


def _softmax_output(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    by_channel = _flag(node, "multi_output", False) or node.attributes.get("mode") == "channel"
    if network.ranks[inputs[0]] != 2 and not by_channel:
        raise ValueError(f"{node.op} over (n, c, h, w) (node {node.name}) has no converter")
    # The second input, a label, is for training alone.
    return network.add("Softmax", inputs[:1], node.name, axis=1)


def _softmax(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "temperature", "1", "1.0")
    return network.add("Softmax", inputs[:1], node.name, axis=int(_number(node, "axis", -1)))


def _concat(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    return network.add("Concat", inputs, node.name, axis=int(_number(node, "dim", 1)))


def _dropout(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
    _require(node, "mode", "training")
    return inputs[0]


def _scalar(kind: str) -> Operator:
    def add(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
        scalar = network.constant(f"{node.name}_scalar", _number(node, "scalar", 0.0))
        return network.add(kind, [inputs[0], scalar], node.name)

    return add


def _plain(kind: str, **attributes: Any) -> Operator:
    def add(network: OnnxGraph, node: Node, inputs: list[str]) -> str:
        return network.add(kind, inputs, node.name, **attributes)

    return add


OPERATORS: dict[str, Operator] = {
    "Activation": _activation,
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _dropout,
    "Flatten": _plain("Flatten", axis=1),
    "FullyConnected": _fully_connected,
    "LeakyReLU": _leaky_relu,
    "Pooling": _pooling,
    "SoftmaxActivation": _softmax_output,
    "SoftmaxOutput": _softmax_output,
    "_copy": _plain("Identity"),
    "_div_scalar": _scalar("Div"),
    "_minus_scalar": _scalar("Sub"),
    "_mul_scalar": _scalar("Mul"),
    "_plus": _plain("Add"),
    "_plus_scalar": _scalar("Add"),
    "broadcast_add": _plain("Add"),
    "elemwise_add": _plain("Add"),
    "softmax": _softmax,
}
"""Converters by MXNet's name of the operation."""
