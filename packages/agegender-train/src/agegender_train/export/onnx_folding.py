"""Fewer nodes for the same numbers: normalisation and padding become part of the convolution beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
import onnx

from agegender_train.export.onnx_nodes import Graph


def fold(graph: Graph, outputs: Collection[str]) -> None:
    """Folds each BatchNormalization into the Conv before it, and each Pad with zeros into the Conv behind it.

    ONNX Runtime does so, too, whenever it loads a file; done here, it holds for every runtime, and quantisation sees
    the kernels that are used.

    Args:
        graph: is changed.
        outputs: names that the graph gives out, which must stay.
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
