"""Keras's activations as ONNX nodes."""

from __future__ import annotations

from typing import Any

from agegender_train.export.onnx_nodes import Graph

_NODES: dict[str, str] = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "hard_silu": "HardSwish",
    "elu": "Elu",
}


def is_linear(activation: Any) -> bool:
    """Whether an activation changes nothing."""
    return activation is None or getattr(activation, "__name__", "") == "linear"


def activate(graph: Graph, layer: Any, x: str, name: str, rank: int) -> str:
    """Adds the activation of `layer` to the graph, on a tensor with `rank` axes.

    Raises:
        ValueError: it has no converter.
    """
    activation = layer.activation
    if is_linear(activation):
        return x
    kind = getattr(activation, "__name__", "")
    if kind == "relu6":
        return clip(graph, x, 6.0, name)
    if kind == "silu":
        return graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{name}/sigmoid")], name)
    if kind == "hard_sigmoid":
        return graph.add("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)
    if kind not in _NODES:
        raise ValueError(f"layer {layer.name!r} has activation {activation!r}, which has no converter to ONNX")
    # Keras takes the softmax over the channels, which are the second axis of pictures here.
    axis = {"axis": 1 if rank == 4 else -1} if kind == "softmax" else {}
    return graph.add(_NODES[kind], [x], name, **axis)


def clip(graph: Graph, x: str, highest: float, name: str) -> str:
    """Adds what keeps values in [0, `highest`]."""
    bounds = [graph.constant(f"{name}/{key}", value) for key, value in (("lowest", 0.0), ("highest", highest))]
    return graph.add("Clip", [x, *bounds], name)


def relu(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    """Converts a ReLU layer, with its highest value or its slope below zero."""
    slope, highest = float(layer.negative_slope), getattr(layer, "max_value", None)
    if getattr(layer, "threshold", 0.0) or (slope and highest is not None):
        raise ValueError(
            f"layer {layer.name!r} has a threshold, or a slope and a highest value, which have no converter"
        )
    if highest is not None:
        return clip(graph, inputs[0], float(highest), name)
    if slope:
        return graph.add("LeakyRelu", inputs, name, alpha=slope)
    return graph.add("Relu", inputs, name)
