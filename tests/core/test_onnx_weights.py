"""Weights read from an ONNX file without the package onnx."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from agegender_core.onnx_weights import convolutions
from agegender_core.predict import MODELS, MODELS_PATH
from agegender_core.yunet import YUNET_PATH


def model(*weights: np.ndarray) -> bytes:
    """A chain of convolutions without padding; biases count up."""
    nodes, tensors = [], []
    for place, weight in enumerate(weights):
        name = f"weight {place}"
        tensors.append(numpy_helper.from_array(weight, name))
        tensors.append(numpy_helper.from_array(np.arange(len(weight), dtype=weight.dtype), f"bias {place}"))
        nodes.append(helper.make_node("Conv", [f"x{place}", name, f"bias {place}"], [f"x{place + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x0", f"x{len(weights)}")]
    graph = helper.make_graph(nodes, "a chain", ends[:1], ends[1:], tensors[::-1])
    return bytes(helper.make_model(graph).SerializeToString())


@given(
    st.lists(st.tuples(*[st.integers(1, 5)] * 4), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_weights_and_biases_come_in_the_order_of_the_graph(shapes: list[tuple[int, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    found = convolutions(model(*weights))
    assert len(found) == len(weights)
    for (weight, bias), made in zip(found, weights, strict=True):
        np.testing.assert_array_equal(weight, made)
        np.testing.assert_array_equal(bias, np.arange(len(made)))


def test_yunets_are_what_onnx_reads() -> None:
    graph = onnx.load(str(YUNET_PATH)).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    found = convolutions(YUNET_PATH.read_bytes())
    assert len(found) == len(nodes) == 53
    for node, (weight, bias) in zip(nodes, found, strict=True):
        np.testing.assert_array_equal(weight, tensors[node.input[1]])
        np.testing.assert_array_equal(bias, tensors[node.input[2]])


def test_a_file_of_another_kind_is_refused() -> None:
    whole = model(np.ones((2, 3, 3, 3), np.float32))
    half = (MODELS_PATH / f"{MODELS['fast']}.onnx").read_bytes()  # its weights are of 16 bits
    for content in (b"", b"no model", bytes(100), b"\xff" * 100, whole[: len(whole) // 2], half):
        with pytest.raises(ValueError, match="no ONNX file"):
            convolutions(content)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert convolutions(content) == []
