"""Rows as Parquet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agegender_core.records import FACE_COLUMNS, face_rows

from .base import SinkError

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

_BATCH = 200
_FACE_TYPES: Mapping[str, type] = {
    **dict.fromkeys(FACE_COLUMNS, float),
    **dict.fromkeys(("frame", "track_id"), int),
    **dict.fromkeys(("source", "captured", "gender"), str),
}


class ParquetTable:
    """Writes rows of named columns.

    A Parquet file is none before its last byte. So the rows go into ``NAME.partial.arrows`` at first, an Arrow stream
    that is whole up to its last batch after a kill (``pyarrow.ipc.open_stream``), and are made Parquet when the sink is
    closed. Needs PyArrow (``pip install pyarrow``).

    Args:
        path: the file to write.
        types: of the columns, in order: int (64 bits), float (64 bits), str or bool. Any value may be ``None``.

    Attributes:
        done: always False.

    Raises:
        SinkError: PyArrow is not installed, or the file can't be written.
    """

    done = False

    def __init__(self, path: str | Path, types: Mapping[str, type]) -> None:
        try:
            import pyarrow
            import pyarrow.ipc
        except ImportError:
            raise SinkError(f"{path} can't be written: Parquet needs PyArrow (pip install pyarrow)") from None
        self.path = Path(path)
        self._partial = self.path.with_name(f"{self.path.stem}.partial.arrows")
        kinds = {int: pyarrow.int64(), str: pyarrow.string(), bool: pyarrow.bool_(), float: pyarrow.float64()}
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in types.items()])
        self._rows: list[Mapping[str, Any]] = []
        try:
            self._file = self._partial.open("wb", buffering=0)
            self._stream = pyarrow.ipc.new_stream(self._file, self._schema)
        except OSError as error:
            raise SinkError(f"{path} can't be written: {error.strerror}") from None
        self._open = True

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take some rows. Raises SinkError where they can't be written, as on a full disk."""
        self._rows += rows
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if not self._rows:
            return
        rows, self._rows = self._rows, []
        end = self._file.tell()
        try:
            self._stream.write_batch(pyarrow.RecordBatch.from_pylist(rows, self._schema))
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(end)
            raise SinkError(f"{self.path} can't be written: {error.strerror or error}") from None

    def close(self) -> None:
        """Make the rows Parquet under the file's own name. May be called twice. Raises SinkError."""
        if not self._open:
            return
        self._open = False
        try:
            self._flush()
        finally:
            with suppress(OSError):
                self._stream.close()
            self._file.close()
            self._make_parquet()

    def _make_parquet(self) -> None:
        import pyarrow.ipc
        import pyarrow.parquet

        unfinished = self.path.with_name(f".{self.path.name}.tmp")
        try:
            with (
                self._partial.open("rb") as file,
                unfinished.open("wb") as finished,  # PyArrow takes no name that is not UTF-8
                pyarrow.ipc.open_stream(file) as stream,
                pyarrow.parquet.ParquetWriter(finished, self._schema) as writer,
                suppress(OSError),
            ):  # a last batch that the disk cut off
                for batch in stream:
                    writer.write_batch(batch)
            os.replace(unfinished, self.path)
            self._partial.unlink()
        except (OSError, pyarrow.ArrowException) as error:
            unfinished.unlink(missing_ok=True)
            raise SinkError(f"{self.path} can't be written: {error}; its rows are in {self._partial}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class ParquetSink(ParquetTable):
    """Writes one row a face, with the columns of `CsvSink`; see `ParquetTable` for how.

    Args:
        path: the file to write.

    Raises:
        SinkError: as `ParquetTable`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, _FACE_TYPES)

    def write(self, result: FrameResult) -> None:
        """Take the rows of one frame. Raises SinkError where they can't be written, as on a full disk."""
        self.write_rows(face_rows(result))
