"""Pictures in a column of a Parquet file, as Hugging Face ``datasets`` writes them: struct<bytes, path>, or bytes."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Any

from .files import Unreadable
from .listing import Part
from .places import open_place, place_exists

INSTALL = 'pip install pyarrow (the extra "agegender-core[parquet]")'
_AT_A_TIME = 16
_BUFFER = 1 << 20


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        missing = ModuleNotFoundError("Parquet needs a package that is not installed: pyarrow")
        missing.add_note(INSTALL)
        raise missing from None
    return pyarrow.parquet


def _opened(file: IO[bytes]) -> Any:
    # Without a buffer a row group is read as a whole, and some hold gigabytes.
    return _parquet().ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)


def list_parquet(place: str, base: str) -> Part:
    """The pictures in a Parquet file, by the numbers of their rows from 0; only its footer is read.

    A file that is broken, or has no column of pictures, gives one unreadable picture with its name, and why.

    Args:
        place: path or address of the file.
        base: the folder that relative paths begin at.

    Raises:
        ModuleNotFoundError: PyArrow, or the package for such addresses, is not installed.
    """
    _parquet()
    import pyarrow

    try:
        with open_place(place, base) as file:
            opened = _opened(file)
            column = _image_column(opened.schema_arrow)
            return Part(ParquetImages(place, base, column), range(opened.metadata.num_rows))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        return Part(Unreadable(), [(place, reason)])


def _image_column(schema: Any) -> str:
    """The column that holds pictures: what the features of ``datasets`` say, else a struct with bytes.

    Raises:
        ValueError: there is none, or several and none is called "image".
    """
    import pyarrow

    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        found = [name for name, feature in described.items() if feature.get("_type") == "Image"]
    except (ValueError, KeyError, TypeError, AttributeError):
        found = []
    found = [name for name in found if name in schema.names]
    if not found:
        found = [
            one.name
            for one in schema
            if pyarrow.types.is_struct(one.type) and "bytes" in [one.type[i].name for i in range(one.type.num_fields)]
        ]
    if len(found) > 1 and "image" in found:
        found = ["image"]
    if not found:
        raise ValueError("it has no column of pictures: struct<bytes, path>, as datasets writes them")
    if len(found) > 1:
        raise ValueError(f"it has several columns of pictures, and none is called image: {', '.join(found)}")
    return str(found[0])


@dataclass(frozen=True)
class ParquetImages:
    """Pictures of a Parquet file by the numbers of their rows, as ``faces.parquet#17``.

    Attributes:
        place: its path or address.
        base: the folder that relative paths begin at.
        column: which of its columns.
    """

    place: str
    base: str
    column: str
    in_turn = True

    def name(self, key: int) -> str:
        """The file's name, and the row's number from 0."""
        return f"{self.place}#{key}"

    def stem(self, key: int) -> str:
        """The row's number."""
        return f"{key:08}"

    def path(self, key: int) -> None:
        """None: it is no file of its own."""

    def open(self) -> _RowReader:
        """Opens the file."""
        _parquet()
        return _RowReader(open_place(self.place, self.base), self.column)

    def exists(self, key: int) -> bool:
        """Whether the file is there."""
        return place_exists(self.place, self.base)


class _RowReader:
    """Reads rows in order, some at a time; to go back is allowed, and slow."""

    def __init__(self, file: IO[bytes], column: str) -> None:
        self._file, self._column = file, column
        self._parquet = _opened(file)
        about = self._parquet.metadata
        self._starts = [0, *accumulate(about.row_group(n).num_rows for n in range(about.num_row_groups))]
        self._rows: Iterator[tuple[int, Any]] = iter(())
        self._next = -1
        self._end = -1

    def read(self, key: int) -> bytes:
        import pyarrow

        if not self._next <= key < self._end:
            group = bisect_right(self._starts, key) - 1
            self._rows, self._next, self._end = self._of(group), self._starts[group], self._starts[group + 1]
        try:
            for row, value in self._rows:
                self._next = row + 1
                if row == key:
                    return _bytes_of(value)
        except pyarrow.ArrowException as error:
            self._next = self._end = -1
            raise OSError(f"the Parquet file is broken: {error}") from None
        raise OSError("the Parquet file is broken: it ends before")

    def _of(self, group: int) -> Iterator[tuple[int, Any]]:
        row = self._starts[group]
        for batch in self._parquet.iter_batches(_AT_A_TIME, row_groups=[group], columns=[self._column]):
            for value in batch.column(0):
                yield row, value
                row += 1

    def close(self) -> None:
        self._parquet.close()
        self._file.close()


def _bytes_of(value: Any) -> bytes:
    held = value.as_py()
    if isinstance(held, dict):
        if held.get("bytes") is None and held.get("path"):
            raise OSError("its row holds the path of a picture, and not its bytes")
        held = held.get("bytes")
    if not isinstance(held, bytes):
        raise OSError("its row holds no picture")
    return held
