"""Where output goes: what a machine reads to stdout, all else to stderr."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

from .options import Format


def use_utf8() -> None:
    """Makes stdout and stderr take any text: UTF-8 in files and pipes; a terminal gets what it can show.

    What can't be written is escaped: it must not end the work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def plain(text: str, controls: bool = True) -> str:
    """A text that can be written as UTF-8.

    Bytes of a file's name that are no UTF-8 become ``\\xe9`` and the like: neither JSON nor a reader of UTF-8 has
    another way to say them.

    Args:
        text: such as a path, in which Python keeps such bytes as lone surrogates.
        controls: leave control characters as they are; otherwise they are escaped, too, as is right where a name
            could break a line or steer a terminal.
    """
    text = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if controls else re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda control: f"\\x{ord(control[0]):02x}", text)


def _plain_all(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {_plain_all(name): _plain_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_all(one) for one in value]
    return value


def count(number: int, what: str) -> str:
    """A number of things in words, such as "1 face" and "2 faces"."""
    from agegender_core import spelling

    return spelling.count(number, what)


def message(text: str) -> None:
    """Says something to the user, on stderr."""
    typer.echo(plain(text), err=True)


def print_figures(
    format_: Format, *, document: Any, rows: Iterable[Mapping[str, Any]], table: Callable[[], None]
) -> None:
    """Prints a command's figures on stdout in the format that the user wants.

    Args:
        format_: which.
        document: all of them, for JSON.
        rows: those that fit into a table of numbers, for CSV.
        table: prints what a person wants to see.
    """
    if format_ is Format.JSON:
        print_json(document)
    elif format_ is Format.CSV:
        print_csv(rows)
    else:
        table()


def print_json(document: Any) -> None:
    """Prints one JSON document, in which NaN and infinity are null."""
    typer.echo(json_text(document, indent=2))


def json_text(document: Any, indent: int | None = None) -> str:
    """A document as JSON that stdout can take, with null for NaN and infinity."""
    from agegender_core.records import finite

    # What a terminal writes for a letter that it lacks would be no escape of JSON.
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(_plain_all(finite(document)), indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def print_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints rows under a header with all their keys; what is ``None`` or isn't there is empty.

    Control characters are escaped: `csv` leaves a carriage return unquoted, which ends the line for any reader.
    """
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: plain(one, controls=False) if isinstance(one, str) else one for name, one in row.items()} for row in rows
    )


def scalars(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the figures that fit into a cell."""
    return {name: value for name, value in figures.items() if not isinstance(value, dict | list | tuple)}
