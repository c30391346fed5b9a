"""MXNet's operations as ONNX nodes, in inference: those that the published networks use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from agegender_train.baselines.insightface.mxnet_files import Node

_TUPLE = re.compile(r"[(\[][\d\s,L]*[)\]]")
_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}


class Network:
    """An ONNX graph in the making, and the weights to take for it.

    Attributes:
        params: arrays by MXNet's names.
        nodes: in the order in which they are computed.
        constants: tensors by name.
        ranks: number of axes by the name of a tensor that is no constant: 4 of pictures, 2 of rows.
    """

    def __init__(self, params: Mapping[str, npt.NDArray[Any]]) -> None:
        self.params = params
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.ranks: dict[str, int] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node; its only output bears its name, which is returned."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        self.ranks[name] = 2 if kind in ("Flatten", "Gemm") else self.ranks[inputs[0]]
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant tensor; returns its name."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name


Operator: TypeAlias = Callable[[Network, Node, list[str]], str]
"""Adds a node to the graph: (network, node, names of its inputs) -> the output's name."""


def operator(node: Node) -> Operator:
    """What adds the node. Raises ValueError for an operation that is not known here."""
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
    """Raises ValueError where a setting is there and is none of `allowed`."""
    value = node.attributes.get(name, "None")
    if value not in ("None", "", *allowed):
        raise ValueError(f"{node.op} with {name}={value} (node {node.name}) has no converter")


def _weights(network: Network, name: str) -> npt.NDArray[np.float32]:
    if name not in network.params:
        raise ValueError(f"the weights have no {name!r}")
    return network.params[name].astype(np.float32)


def _convolution(network: Network, node: Node, inputs: list[str]) -> str:
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


def _batch_norm(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "axis", "1")
    if len(inputs) != 5:
        raise ValueError(f"{node.name}: BatchNorm must have 5 inputs, got {len(inputs)}")
    if _flag(node, "fix_gamma", True):
        # What stands in the file for gamma is not used by MXNet.
        inputs[1] = network.constant(f"{node.name}_ones", np.ones_like(_weights(network, inputs[1])))
    return network.add("BatchNormalization", inputs, node.name, epsilon=_number(node, "eps", 1e-3))


def _activation(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "act_type", *_ACTIVATIONS)
    return network.add(_ACTIVATIONS[node.attributes.get("act_type", "relu")], inputs, node.name)


def _leaky_relu(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "act_type", "prelu", "leaky", "elu")
    kind, slope = node.attributes.get("act_type", "leaky"), _number(node, "slope", 0.25)
    if kind == "prelu":
        gamma = _weights(network, inputs[1]).reshape(-1)
        # One slope a channel. ONNX aligns shapes at their ends, and pictures have two axes behind the channels.
        shape = (-1, 1, 1) if network.ranks[inputs[0]] == 4 else (-1,)
        return network.add(
            "PRelu", [inputs[0], network.constant(f"{node.name}_slope", gamma.reshape(shape))], node.name
        )
    return network.add("LeakyRelu" if kind == "leaky" else "Elu", inputs[:1], node.name, alpha=slope)


def _pooling(network: Network, node: Node, inputs: list[str]) -> str:
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


def _fully_connected(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "flatten", "True", "1")
    rows = network.add("Flatten", inputs[:1], f"{node.name}_rows", axis=1)
    rest = inputs[1:2] if _flag(node, "no_bias", False) else inputs[1:3]
    return network.add("Gemm", [rows, *rest], node.name, transB=1)


def _softmax_output(network: Network, node: Node, inputs: list[str]) -> str:
    by_channel = _flag(node, "multi_output", False) or node.attributes.get("mode") == "channel"
    if network.ranks[inputs[0]] != 2 and not by_channel:
        raise ValueError(f"{node.op} over whole pictures (node {node.name}) has no converter")
    # A label beside the data is for the training alone.
    return network.add("Softmax", inputs[:1], node.name, axis=1)


def _softmax(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "temperature", "1", "1.0")
    return network.add("Softmax", inputs[:1], node.name, axis=int(_number(node, "axis", -1)))


def _concat(network: Network, node: Node, inputs: list[str]) -> str:
    return network.add("Concat", inputs, node.name, axis=int(_number(node, "dim", 1)))


def _dropout(network: Network, node: Node, inputs: list[str]) -> str:
    _require(node, "mode", "training")
    return inputs[0]


def _scalar(kind: str) -> Operator:
    def add(network: Network, node: Node, inputs: list[str]) -> str:
        scalar = network.constant(f"{node.name}_scalar", _number(node, "scalar", 0.0))
        return network.add(kind, [inputs[0], scalar], node.name)

    return add


def _plain(kind: str, **attributes: Any) -> Operator:
    def add(network: Network, node: Node, inputs: list[str]) -> str:
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
"""By MXNet's name."""
