"""The part of MATLAB's MAT 5 format that IMDB-WIKI's metadata needs: one struct of numeric arrays and of cells.

Format: "MAT-File Level 5 File Format" (The MathWorks). `scipy.io.loadmat` reads all of it, but a damaged file can end
the process in it; here every length is checked against what is there, nothing nests, and what a file unpacks to is
bounded.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_train.datasets.archive_readers import MAX_FILE_BYTES

Cell: TypeAlias = "str | npt.NDArray[Any] | None"
Column: TypeAlias = "npt.NDArray[Any] | list[Cell]"

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _FIRST_NUMERIC, _LAST_NUMERIC = 1, 2, 4, 6, 15
_COMPLEX = 0x0800
_HEADER = 128
_TAGS = {"<": struct.Struct("<II"), ">": struct.Struct(">II")}
_EMPTY = np.empty(0)


class _Element(NamedTuple):
    kind: int
    start: int
    stop: int
    after: int


class _Matrix(NamedTuple):
    kind: int
    shape: tuple[int, ...]
    name: str
    start: int
    stop: int


def read_structs(data: bytes, name: str, fields: Collection[str]) -> dict[str, dict[str, Column]]:
    """The structs of a MAT 5 file, each with those of its `fields` that are asked for.

    Args:
        data: the file.
        name: what it is called, for messages.
        fields: names of the fields to read; others are skipped.

    Returns:
        By the variable's name: numeric fields as arrays of shape (n,); cell fields as lists of texts, arrays of
        shape (m,), and ``None`` for what is neither.

    Raises:
        ValueError: it is no such file, it is damaged, or it unpacks to more than `MAX_FILE_BYTES`.
    """
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[512:520] == b"\x89HDF\r\n\x1a\n" or data.startswith(b"MATLAB 7.3"):
        raise ValueError(f"{name} is a MAT 7.3 (HDF5) file, expected MAT 5: in MATLAB, save it again with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError(f"{name} is no MAT 5 file")
    try:
        return {matrix.name: columns for matrix, columns in _structs(data, order, frozenset(fields))}
    except (ValueError, struct.error, zlib.error, OverflowError) as error:
        raise ValueError(f"{name} is damaged ({error}); is its download complete?") from error


def _structs(data: bytes, order: str, fields: frozenset[str]) -> Iterator[tuple[_Matrix, dict[str, Column]]]:
    position = _HEADER
    while position < len(data):
        element = _element(data, position, len(data), order)
        position = element.stop if element.kind == _COMPRESSED else element.after
        where = data
        if element.kind == _COMPRESSED:
            where = _unpacked(data[element.start : element.stop])
            element = _element(where, 0, len(where), order)
        if element.kind == _MATRIX:
            matrix = _matrix(where, element, order)
            if matrix.kind == _STRUCT and matrix.shape == (1, 1):
                yield matrix, _columns(where, matrix, order, fields)


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, MAX_FILE_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError("it unpacks to more than any label file")
    if not unpacker.eof:
        raise ValueError("it ends in the middle")
    return content


def _element(data: bytes, position: int, stop: int, order: str) -> _Element:
    kind, size = _TAGS[order].unpack_from(data, position)
    if kind >> 16:  # up to four bytes stand in the tag itself
        kind, size = kind & 0xFFFF, kind >> 16
        start, after = position + 4, position + 8
        if size > 4:
            raise ValueError("a short element of more than four bytes")
    else:
        start = position + 8
        after = start + size + -size % 8
    if start + size > stop:
        raise ValueError("it ends in the middle")
    return _Element(kind, start, start + size, min(after, stop))


def _matrix(data: bytes, element: _Element, order: str) -> _Matrix:
    if element.kind != _MATRIX:
        raise ValueError("something that is no array among the values")
    if element.start == element.stop:  # MATLAB's way to write []
        return _Matrix(9, (0, 0), "", element.start, element.stop)
    flags = _element(data, element.start, element.stop, order)
    sizes = _element(data, flags.after, element.stop, order)
    name = _element(data, sizes.after, element.stop, order)
    (flag,) = struct.unpack_from(order + "I", data, flags.start)
    shape = struct.unpack_from(f"{order}{(sizes.stop - sizes.start) // 4}i", data, sizes.start)
    if min(shape, default=-1) < 0:
        raise ValueError("an array of negative size")
    kind = 0 if flag & _COMPLEX else flag & 0xFF
    return _Matrix(kind, shape, data[name.start : name.stop].decode("latin-1"), name.after, element.stop)


def _columns(data: bytes, matrix: _Matrix, order: str, fields: frozenset[str]) -> dict[str, Column]:
    width = _element(data, matrix.start, matrix.stop, order)
    (length,) = struct.unpack_from(order + "i", data, width.start)
    text = _element(data, width.after, matrix.stop, order)
    if length < 1:
        raise ValueError("a struct whose fields have no names")
    names = [
        data[start : min(start + length, text.stop)].split(b"\0", 1)[0].decode("latin-1")
        for start in range(text.start, text.stop, length)
    ]
    found: dict[str, Column] = {}
    position = text.after
    for name in names:
        element = _element(data, position, matrix.stop, order)
        position = element.after
        if name in fields:
            value = _matrix(data, element, order)
            found[name] = _cells(data, value, order) if value.kind == _CELL else _numbers(data, value, order)
    return found


def _cells(data: bytes, matrix: _Matrix, order: str) -> list[Cell]:
    cells: list[Cell] = []
    position = matrix.start
    for _ in range(math.prod(matrix.shape)):
        element = _element(data, position, matrix.stop, order)
        position = element.after
        value = _matrix(data, element, order)
        if value.kind == _CHAR:
            cells.append(_text(data, value, order))
        elif _FIRST_NUMERIC <= value.kind <= _LAST_NUMERIC:
            cells.append(_numbers(data, value, order))
        else:
            cells.append(None)
    return cells


def _text(data: bytes, matrix: _Matrix, order: str) -> str:
    part = _element(data, matrix.start, matrix.stop, order)
    encoding = _ENCODINGS.get(part.kind)
    if encoding is None:
        raise ValueError(f"text of type {part.kind}")
    encoding += ("-le" if order == "<" else "-be") if encoding == "utf-16" else ""
    return data[part.start : part.stop].decode(encoding, "replace")


def _numbers(data: bytes, matrix: _Matrix, order: str) -> npt.NDArray[Any]:
    if not _FIRST_NUMERIC <= matrix.kind <= _LAST_NUMERIC:
        raise ValueError("a field that is neither numbers nor a cell")
    if matrix.start == matrix.stop:
        return _EMPTY  # one for all: a file may hold millions of them
    part = _element(data, matrix.start, matrix.stop, order)
    if part.kind not in _NUMBERS:
        raise ValueError(f"numbers of type {part.kind}")
    dtype = np.dtype(order + _NUMBERS[part.kind])
    count = (part.stop - part.start) // dtype.itemsize
    if count != math.prod(matrix.shape):
        raise ValueError(f"{count} numbers in an array of {math.prod(matrix.shape)}")
    return np.frombuffer(data, dtype, count, part.start)
