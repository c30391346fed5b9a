"""MXNet's two files of a network: the graph (`*-symbol.json`) and its weights (`*.params`).

The layout of the weights: a list of arrays, each with a magic number of its version, then a list of names; all numbers
are little-endian. A damaged file gives a ValueError, and no more memory is allocated than the file's own size explains.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LIST_MAGIC = 0x112
ARRAY_V1, ARRAY_V2, ARRAY_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
"""Magic numbers before an array: V2 added the storage type, V3 NumPy's shapes, where no dimension is a single number.

Arrays of older versions begin with their number of dimensions, which are 32-bit numbers.
"""
DTYPES = dict(enumerate(("<f4", "<f8", "<f2", "|u1", "<i4", "|i1", "<i8", "|b1")))
"""NumPy's types by MXNet's number."""
MAX_DIMENSIONS = 32


@dataclass(frozen=True)
class Node:
    """A node of the graph.

    Attributes:
        op: the operation; "null" is a variable: the input, a weight or a label.
        name: the node's.
        attributes: text by name, as MXNet writes it.
        inputs: number of a node before this one and which of its outputs, for each input.
    """

    op: str
    name: str
    attributes: dict[str, str]
    inputs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Symbol:
    """A graph.

    Attributes:
        nodes: each after those that it reads.
        heads: number of a node and which of its outputs, for each output of the graph.
    """

    nodes: tuple[Node, ...]
    heads: tuple[tuple[int, int], ...]


def read_network(folder: str | os.PathLike[str], stem: str = "*") -> tuple[Symbol, dict[str, npt.NDArray[Any]]]:
    """Graph and weights of the one MXNet network in a folder.

    Args:
        folder: holds one ``STEM-symbol.json`` and one ``STEM-NNNN.params``.
        stem: of the network's files, where the folder holds several networks.

    Raises:
        FileNotFoundError: there is no such folder, or a file is missing in it.
        ValueError: there are several, or a file is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: it must hold MXNet's symbol.json and .params")
    found = []
    for pattern in (f"{stem}-symbol.json", f"{stem}-[0-9]*.params"):
        files = sorted(folder.glob(pattern))
        if not files:
            raise FileNotFoundError(f"{folder} holds no {pattern}: it must hold the two files of one MXNet network")
        if len(files) > 1:
            raise ValueError(f"{folder} holds {len(files)} files {pattern}, where one was expected")
        found.append(files[0])
    return read_symbol(found[0]), read_params(found[1])


def read_symbol(path: str | os.PathLike[str]) -> Symbol:
    """The graph in a symbol file, of any version of MXNet.

    Raises:
        OSError: the file can't be read.
        ValueError: the file is no symbol file.
    """
    content = Path(path).read_bytes()
    try:
        written = json.loads(content)
        nodes: list[Node] = []
        for number, node in enumerate(written["nodes"]):
            # "attrs" since 1.0; "attr" held the user's own and "param" the operation's before.
            attributes = {**node.get("param", {}), **node.get("attr", {}), **node.get("attrs", {})}
            inputs = tuple(_reference(entry, number) for entry in node["inputs"])
            op, name = node["op"], node["name"]
            if not (isinstance(op, str) and isinstance(name, str)):
                raise ValueError(f"node {number} has no name or operation")
            nodes.append(Node(op, name, {str(key): str(value) for key, value in attributes.items()}, inputs))
        heads = tuple(_reference(entry, len(nodes)) for entry in written["heads"])
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no symbol file of MXNet: {type(error).__name__} {error}") from None
    if not heads:
        raise ValueError(f"{path} is no symbol file of MXNet: it names no output")
    return Symbol(tuple(nodes), heads)


def _reference(entry: Any, before: int) -> tuple[int, int]:
    node, output = entry[0], entry[1]
    if not (type(node) is int and type(output) is int and 0 <= node < before and output >= 0):
        raise ValueError(f"{entry} names no earlier node")
    return node, output


def read_params(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays in a params file by name, without the "arg:" or "aux:" before it; read-only.

    Raises:
        OSError: the file can't be read.
        ValueError: the file is no params file, is truncated or damaged, or holds an array of an unknown type.
    """
    content = Path(path).read_bytes()
    try:
        return _Reader(content).arrays()
    except ValueError as error:
        raise ValueError(f"{path} is no params file of MXNet, or a damaged one: {error}") from None


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        magic, _reserved = self._take("<QQ")
        if magic != LIST_MAGIC:
            raise ValueError(f"it begins with {magic:#x}, not with {LIST_MAGIC:#x}")
        arrays = [self._array() for _ in range(self._count())]
        names = [self._name() for _ in range(self._count())]
        if self._at != len(self._content):
            raise ValueError(f"{len(self._content) - self._at} bytes follow its end")
        if len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays)} arrays and {len(names)} names")
        found = dict(zip(names, arrays, strict=True))
        if len(found) != len(names):
            raise ValueError("two arrays have the same name")
        return found

    def _bytes(self, count: int) -> memoryview:
        left = len(self._content) - self._at
        if count > left:
            raise ValueError(f"it ends at byte {len(self._content)}, where {count - left} more are announced")
        self._at += count
        return self._content[self._at - count : self._at]

    def _take(self, format_: str) -> tuple[int, ...]:
        return struct.unpack(format_, self._bytes(struct.calcsize(format_)))

    def _count(self) -> int:
        (count,) = self._take("<Q")
        # The least that an array or a name takes.
        if count > (len(self._content) - self._at) // 4:
            raise ValueError(f"{count} entries are announced at byte {self._at}, more than there is room for")
        return count

    def _name(self) -> str:
        (length,) = self._take("<Q")
        name = str(self._bytes(length), "utf-8")
        return name.removeprefix("arg:").removeprefix("aux:")

    def _array(self) -> npt.NDArray[Any]:
        start = self._at
        (version,) = self._take("<I")
        dimensions, width = version, "I"
        if version in (ARRAY_V1, ARRAY_V2, ARRAY_V3):
            if version != ARRAY_V1 and (storage := self._take("<i")[0]) != 0:
                raise ValueError(f"the array at byte {start} is sparse (storage type {storage})")
            (dimensions,) = self._take("<I")
            width = "q"
        if dimensions > MAX_DIMENSIONS:
            raise ValueError(f"the array at byte {start} begins with {version:#x} and {dimensions:#x} dimensions")
        if dimensions == 0 and version != ARRAY_V3:
            # MXNet writes an array that was never filled like this: nothing follows.
            return np.empty(0, np.float32)
        shape = self._take(f"<{dimensions}{width}")
        _device, _number, kind = self._take("<iii")
        if kind not in DTYPES:
            raise ValueError(f"the array at byte {start} is of an unknown type ({kind})")
        if min(shape, default=0) < 0:
            raise ValueError(f"the array at byte {start} has the shape {shape}")
        dtype = np.dtype(DTYPES[kind])
        data = self._bytes(math.prod(shape) * dtype.itemsize)
        try:
            return np.frombuffer(data, dtype).reshape(shape)
        except (ValueError, OverflowError):  # a dimension beside one of 0 may be beyond what NumPy counts
            raise ValueError(f"the array at byte {start} has the shape {shape}") from None
