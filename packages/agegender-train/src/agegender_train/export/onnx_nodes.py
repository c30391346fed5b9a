"""An ONNX graph in the making, and what a converter of layers is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper


class Graph:
    """An ONNX graph that grows node by node.

    Attributes:
        nodes: in the order in which they are computed.
        constants: tensors by name.
        shapes: Keras's shapes of what the layers gave, by name: (``None``, h, w, c) or (``None``, c).
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.shapes: dict[str, tuple[int | None, ...]] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node; its only output bears its name, which is returned."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant tensor; returns its name."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name


Converter: TypeAlias = Callable[[Graph, Any, list[str], str], str]
"""Adds a layer to the graph: (graph, layer, names of its inputs, name for its output) -> the output's name.

Pictures are (n, c, h, w) in the graph, where Keras has (n, h, w, c). A layer that changes nothing gives back its
input's name.
"""
