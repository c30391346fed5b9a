"""The weights of an ONNX file's convolutions, read without the package onnx."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Field = tuple[int, int | bytes]

# Numbers of fields in onnx.proto3.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_TYPE = 1, 4
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT32 = 1


def convolutions(content: bytes) -> list[tuple[Floats, Floats]]:
    """Weight (out, in / groups, height, width) and bias (out,) of each convolution, in the order of the graph.

    Args:
        content: a whole ONNX file that keeps its weights as raw float32.

    Raises:
        ValueError: it is no such file.
    """
    try:
        graph = next(value for number, value in _fields(content) if number == _MODEL_GRAPH)
        parts = [(number, value) for number, value in _fields(_bytes(graph)) if isinstance(value, bytes)]
        tensors = dict(_tensor(value) for number, value in parts if number == _GRAPH_INITIALIZER)
        found = []
        for number, value in parts:
            if number == _GRAPH_NODE:
                node = list(_fields(value))
                if (_NODE_TYPE, b"Conv") in node:
                    _, weight, bias = (name for number, name in node if number == _NODE_INPUT)
                    found.append((tensors[_bytes(weight)], tensors[_bytes(bias)]))
    except (StopIteration, KeyError, IndexError, TypeError, ValueError):
        raise ValueError("no ONNX file with convolutions of raw float32 weights and biases") from None
    return found


def _tensor(content: bytes) -> tuple[bytes, Floats]:
    fields = list(_fields(content))
    single = {number: value for number, value in fields if number != _TENSOR_DIMS}
    name = _bytes(single[_TENSOR_NAME])
    if single[_TENSOR_TYPE] != _FLOAT32:
        return name, np.empty(0, np.float32)
    dims = [value for number, value in fields if number == _TENSOR_DIMS and isinstance(value, int)]
    return name, np.frombuffer(_bytes(single[_TENSOR_RAW]), "<f4").astype(np.float32).reshape(dims)


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where bytes should be")
    return value


def _fields(message: bytes) -> Iterator[Field]:
    """Each field's number and value of a protobuf message (protobuf.dev/programming-guides/encoding)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + length > len(message):
            raise ValueError("a field ends beyond its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
