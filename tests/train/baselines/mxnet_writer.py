"""A writer of MXNet's params files for the tests of the reader: all versions of an array."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def array_bytes(value: np.ndarray, version: int) -> bytes:
    """The array as version 0 (before the magic numbers), 1, 2 or 3 has it."""
    head = b"" if version == 0 else struct.pack("<I", 0xF993FAC7 + version)
    if version >= 2:
        head += struct.pack("<i", 0)
    head += struct.pack(f"<I{value.ndim}{'I' if version == 0 else 'q'}", value.ndim, *value.shape)
    return head + struct.pack("<iii", 1, 0, TYPES.index(value.dtype.name)) + value.tobytes()


def params_bytes(arrays: Mapping[str, Any], version: int = 2, names: list[str] | None = None) -> bytes:
    names = list(arrays) if names is None else names
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    content += b"".join(array_bytes(np.asarray(value), version) for value in arrays.values())
    content += struct.pack("<Q", len(names))
    return content + b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)
