"""Reads the tables of counts that a stream has written."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .minutes import COUNT_COLUMNS

_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("minute", "count"), int),
    **dict.fromkeys(("observed", "gender_confidence", "age_confidence", "seconds"), float),
}


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
    values = {name: row[name] for name in COUNT_COLUMNS}
    return {
        name: None if value is None or value == "" else _NUMBERS.get(name, str)(value) for name, value in values.items()
    }


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames is None:
            raise ValueError("the file is empty")
        yield from _whole(rows, lambda row: None not in row.values() and None not in row)


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            yield json.loads(line)


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:  # PyArrow takes no name that is not UTF-8
            yield from pyarrow.parquet.read_table(file).to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None


def _whole(rows: Iterable[dict[str, Any]], is_whole: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    broken: dict[str, Any] | None = None
    for row in rows:
        if broken is not None:
            raise ValueError(f"a row has not the columns of the header: {next(iter(broken.values()))!r}")
        if is_whole(row):
            yield row
        else:
            broken = row
