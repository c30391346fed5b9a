"""Where output goes: what a machine reads to stdout, all else to stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

from .options import Format


def message(text: str) -> None:
    """Says something to the user, on stderr."""
    typer.echo(text, err=True)


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
    from agegender_core.records import finite

    typer.echo(json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False))


def print_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints rows under a header with all their keys; what is ``None`` or isn't there is empty."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def scalars(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the figures that fit into a cell."""
    return {name: value for name, value in figures.items() if not isinstance(value, dict | list | tuple)}
