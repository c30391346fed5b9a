"""An ONNX graph in the making: nodes are added one by one, then batch normalisation and padding are folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper


class Graph:
    """An ONNX graph that grows node by node.

    Attributes:
        nodes: in the order in which they are computed.
        constants: tensors by name.
        shapes: Keras's shapes of the layers' outputs, by name: (``None``, h, w, c) or (``None``, c).
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.shapes: dict[str, tuple[int | None, ...]] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node; its only output has the node's name, which is returned."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant tensor; returns its name."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name


def fold(graph: Graph, outputs: Collection[str]) -> None:
    """Folds each BatchNormalization into the Conv before it, and each Pad with zeros into the Conv after it.

    ONNX Runtime does the same whenever it loads a file; done here, every runtime profits, and quantisation sees the
    kernels that are used.

    Args:
        graph: changed in place.
        outputs: names of the graph's outputs, which must stay.
    """
    used = Counter(name for node in graph.nodes for name in node.input)
    used.update(outputs)
    makers = {node.output[0]: node for node in graph.nodes}
    gone: set[str] = set()
    for node in graph.nodes:
        before = makers.get(node.input[0])
        if before is None or used[before.output[0]] > 1:
            continue
        if node.op_type == "BatchNormalization" and before.op_type == "Conv":
            _fold_norm(graph, before, node)
            makers[node.output[0]] = before
            gone.add(node.name)
            before.output[0] = node.output[0]
        elif node.op_type == "Conv" and before.op_type == "Pad":
            _fold_pad(graph, before, node)
            gone.add(before.name)
    graph.nodes = [node for node in graph.nodes if node.name not in gone]
    needed = {name for node in graph.nodes for name in node.input}
    graph.constants = {name: value for name, value in graph.constants.items() if name in needed}


def _fold_norm(graph: Graph, conv: onnx.NodeProto, norm: onnx.NodeProto) -> None:
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in norm.input[1:])
    epsilon = next(item.f for item in norm.attribute if item.name == "epsilon")
    factor = gamma / np.sqrt(variance + epsilon)
    kernel = graph.constants[conv.input[1]].astype(np.float64) * factor[:, None, None, None]
    bias = graph.constants[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else 0.0
    # New constants: a layer that is used twice has one kernel, and may meet two normalisations.
    names = [
        graph.constant(f"{norm.name}/folded_kernel", kernel),
        graph.constant(f"{norm.name}/folded_bias", (bias - mean) * factor + beta),
    ]
    del conv.input[1:]
    conv.input.extend(names)


def _fold_pad(graph: Graph, pad: onnx.NodeProto, conv: onnx.NodeProto) -> None:
    own = next(item for item in conv.attribute if item.name == "pads")
    more = graph.constants[pad.input[1]][[2, 3, 6, 7]]
    own.ints[:] = [int(one + other) for one, other in zip(own.ints, more, strict=True)]
    conv.input[0] = pad.input[0]
