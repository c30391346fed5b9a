"""MXNet's graph and weights as an ONNX model, in inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from agegender_train.baselines.insightface.mxnet_files import Node, Symbol
from agegender_train.baselines.insightface.operators import Network, operator

INPUT = "data"
OPSET, IR_VERSION = 17, 8
"""What ONNX Runtime reads from 1.11 on."""


def build_network(symbol: Symbol, params: Mapping[str, npt.NDArray[Any]]) -> tuple[Network, list[str]]:
    """The nodes of a network whose input "data" is float32 pictures (n, c, h, w).

    Args:
        symbol: the graph.
        params: its weights by name.

    Returns:
        The nodes and constants, to which more may be added, and the names of the outputs in the order of the symbol's.

    Raises:
        ValueError: an operation or a setting of one has no converter, or a weight is missing.
    """
    network = Network(params)
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
        convert = operator(node)
        if not inputs or inputs[0] not in network.ranks:
            raise ValueError(f"{node.op} (node {node.name}) must read the output of another or {INPUT!r}")
        try:
            names.append(convert(network, node, inputs))
        except IndexError:
            raise ValueError(f"{node.op} (node {node.name}) has too few inputs ({len(inputs)})") from None
    if any(output != 0 for _, output in symbol.heads):
        raise ValueError("an output of the network is the second of a node, which has no converter")
    return network, [names[head] for head, _ in symbol.heads]


def _add_weights(network: Network, symbol: Symbol, node: Node) -> None:
    for source, _ in node.inputs:
        name = symbol.nodes[source].name
        if symbol.nodes[source].op != "null" or name == INPUT or name in network.constants:
            continue
        if name in network.params:
            network.constant(name, network.params[name])
        elif not name.endswith("label"):
            raise ValueError(f"the weights have no {name!r}, which the node {node.name} needs")


def to_model(
    network: Network, input_shape: tuple[int, int, int], outputs: Mapping[str, Sequence[int]]
) -> onnx.ModelProto:
    """The ONNX model of a network, checked.

    Args:
        network: its nodes and constants.
        input_shape: of a picture: c, h, w.
        outputs: the shape of each output without its first axis, by name.

    Raises:
        ValueError: the nodes don't fit together, or an output is of another shape.
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
