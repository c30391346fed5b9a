"""Reads the tables of counts that a stream has written."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .minutes import COUNT_COLUMNS


def read_counts(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of a table of counts, each with the keys `COUNT_COLUMNS`: .csv, .parquet, otherwise JSON lines.

    A last line that a kill has cut off is left out.

    Raises:
        ValueError: it is no table of counts; the message names the path.
        OSError: the file can't be read.
        ImportError: it is Parquet, and PyArrow isn't installed.
    """
    path = Path(path)
    read = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(path.suffix.lower(), _json_rows)
    try:
        return [_checked(row) for row in read(path)]
    except (ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no table of counts, as agegender stream --counts writes it: {why}") from None


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kind(row[name]) if row[name] not in (None, "") else None for name, kind in COUNT_COLUMNS.items()}


def _whole_lines(path: Path) -> str:
    text = path.read_text(encoding="utf-8-sig")
    return text[: text.rfind("\n") + 1]


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(_whole_lines(path)), strict=True)
    if rows.fieldnames is None:
        raise ValueError("the file is empty")
    try:
        for row in rows:
            if None in row or None in row.values():
                raise ValueError(f"line {rows.line_num} does not have the columns of the header")
            yield row
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from None


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, _whole_lines(path).splitlines())


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:  # PyArrow takes no name that is not UTF-8
            yield from pyarrow.parquet.read_table(file).to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None
