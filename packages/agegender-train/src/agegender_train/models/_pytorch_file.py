"""Reads the tensors of files that `torch.save` wrote, without PyTorch and without running what a pickle may ask for.

Both of PyTorch's forms: a zip archive (since 1.6), and before that pickles with the numbers behind them
(`torch/serialization.py`). Of a pickle nothing is taken but names, dictionaries and where the numbers lie.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ELEMENTS = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
}
"""PyTorch's classes of storages and what NumPy calls their elements."""


class _Storage(NamedTuple):
    """Where numbers lie."""

    key: str
    element: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """What stands for `torch._utils._rebuild_tensor_v2`; without attributes, so that no pickle can set one."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor's numbers must be in a storage")
        numbers = (offset, *shape, *strides)
        if any(type(number) is not int or number < 0 for number in numbers) or len(shape) != len(strides):
            raise ValueError(f"a tensor can't have offset, shape and strides {offset}, {shape}, {strides}")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Knows dictionaries, tensors and storages, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in _ELEMENTS:
            return name
        raise ValueError(f"it asks for {module}.{name}, and nothing but tensors is read")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, count, *view = pid
        if kind != "storage" or storage not in _ELEMENTS or type(key) is not str or type(count) is not int:
            raise ValueError(f"it asks for {pid!r}, and nothing but tensors is read")
        if any(view):
            raise ValueError(f"the storage {key} is a part of another one, which is not read")
        return _Storage(key, _ELEMENTS[storage], count)


def read_tensors(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a state dict by their names, in the order of the file.

    Args:
        content: of a file that `torch.save(module.state_dict(), path)` wrote, in either form.

    Raises:
        ValueError: it is no such file, is damaged, or holds anything but a dictionary of tensors.
    """
    try:
        state, bytes_of, order = _opened(content)
        if not isinstance(state, dict) or not all(type(name) is str for name in state):
            raise ValueError("it holds no dictionary of tensors by name")
        return {name: _array(name, tensor, bytes_of, order) for name, tensor in state.items()}
    except Exception as error:
        # A damaged pickle can raise whatever its operations raise.
        raise ValueError(f"it can't be read as tensors that torch.save wrote: {error}") from error


def _opened(content: bytes) -> tuple[Any, Callable[[_Storage], bytes], str]:
    """What was pickled, what gives the bytes of a storage, and NumPy's sign of their order."""
    file = io.BytesIO(content)
    if content[:4] == b"PK\x03\x04":
        return _archive(zipfile.ZipFile(file))
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("it doesn't begin like one")
    order = "<" if _Unpickler(file).load()["little_endian"] else ">"
    state = _Unpickler(file).load()
    storages = {tensor.storage.key: tensor.storage for tensor in _tensors(state)}
    found: dict[str, bytes] = {}
    for key in _Unpickler(file).load():
        storage = storages[key]
        length = int(np.frombuffer(file.read(8), f"{order}i8")[0])
        if length != storage.length:
            raise ValueError(f"the storage {key} must have {storage.length} numbers, got {length}")
        found[key] = file.read(length * np.dtype(storage.element).itemsize)
    return state, lambda storage: found[storage.key], order


def _archive(archive: zipfile.ZipFile) -> tuple[Any, Callable[[_Storage], bytes], str]:
    """The same of the newer form: a zip archive whose files are in one folder and are not compressed."""
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise ValueError("the files in it are compressed")
    (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1)
    folder = pickled.removesuffix("data.pkl")
    written = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    state = _Unpickler(io.BytesIO(archive.read(pickled))).load()
    return state, lambda storage: archive.read(f"{folder}data/{storage.key}"), ">" if written == b"big" else "<"


def _tensors(state: Any) -> list[_Tensor]:
    return [value for value in state.values() if isinstance(value, _Tensor)] if isinstance(state, Mapping) else []


def _array(name: str, tensor: Any, bytes_of: Callable[[_Storage], bytes], order: str) -> npt.NDArray[Any]:
    """A tensor's numbers, in an array of its own.

    Raises:
        ValueError: it is no tensor, or reaches past the end of its storage.
    """
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(tensor).__name__}")
    numbers = np.frombuffer(bytes_of(tensor.storage), np.dtype(order + tensor.storage.element))
    size = int(np.prod(tensor.shape, dtype=object))
    last = tensor.offset + sum((length - 1) * step for length, step in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 repeats numbers without end; no state dict needs one.
    if len(numbers) != tensor.storage.length or size > len(numbers) or (size and last >= len(numbers)):
        raise ValueError(f"{name} of shape {tensor.shape} reaches past its {len(numbers)} numbers")
    if not size:
        return np.zeros(tensor.shape, numbers.dtype.newbyteorder("="))
    steps = [step * numbers.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, steps, writeable=False)
    return view.astype(numbers.dtype.newbyteorder("="))
