"""Tables of named columns, of the kind that the end of their name asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .parquet import ParquetTable
from .rows import TableFile


class Table(Protocol):
    """Takes rows: `TableFile`, `ParquetTable` or a `MessageSink`."""

    @property
    def done(self) -> bool:
        """Whether nobody reads it any more."""

    def write_rows(self, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Write rows."""


def open_table(path: str | Path, types: Mapping[str, type]) -> TableFile | ParquetTable:
    """A table by the end of its name: .csv, .parquet, otherwise JSON lines.

    Args:
        path: the file to write; "-" is JSON lines on stdout.
        types: of the columns, in order: see `ParquetTable`.

    Raises:
        SinkError: it can't be opened.
    """
    if str(path).lower().endswith(".parquet"):
        return ParquetTable(path, types)
    return TableFile(path, list(types))
