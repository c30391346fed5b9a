"""Options that several commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How results are written to stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class TableOrJson(StrEnum):
    """How a report is written to stdout."""

    TABLE = "table"
    JSON = "json"


class TableJsonOrCsv(StrEnum):
    """How a table of figures is written to stdout."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Model = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="A model file, or mobilenetv2 or ssrnet, which come with the package.",
        show_default="mobilenetv2",
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Look at each face a second time, mirrored: better, and twice the network's time.",
        show_default="as the model file asks; those built in do",
    ),
]
Upsample = Annotated[
    int, typer.Option(min=0, max=4, help="Double pictures so many times before detection: finds smaller faces.")
]
Threshold = Annotated[float, typer.Option(help="Least score of a face; below 0 finds more, and more mistakes.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
ReportFormat = Annotated[TableOrJson, typer.Option("--format", help="How the report is printed.")]
TableFormat = Annotated[TableJsonOrCsv, typer.Option("--format", help="How the figures are printed.")]
NearDuplicates = Annotated[
    int,
    typer.Option(
        metavar="BITS",
        min=0,
        max=16,
        help="Pictures are alike whose hashes differ in so many bits; 0: only equal files.",
    ),
]
