"""What goes to stdout."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable
from typing import Any

from .options import Format

_COLUMNS = ("source", "error", "width", "height", "left", "top", "right", "bottom", "score")
# New columns go to the end: readers may count them.
_FACE = ("age", "age_std", "gender", "p_male")
_INTERVAL = ("age_interval_low", "age_interval_high")


def write_pictures(rows: Iterable[dict[str, Any]], format_: Format) -> int:
    """Write a row for each picture as it comes (JSON and tables: at the end). Returns how many could not be read."""
    failed = 0
    if format_ in (Format.JSON, Format.TABLE):
        pictures = list(rows)
        failed = sum(row["error"] is not None for row in pictures)
        if format_ is Format.JSON:
            print(json.dumps(pictures, indent=2, ensure_ascii=False))
        else:
            _write_table(pictures)
        return failed
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if format_ is Format.CSV:
        writer.writerow([*_COLUMNS, *_FACE, *_INTERVAL])
    for row in rows:
        failed += row["error"] is not None
        if format_ is Format.JSONL:
            print(json.dumps(row, ensure_ascii=False), flush=True)
            continue
        start = [row["source"], row["error"] or "", row["width"], row["height"]]
        if not row["faces"]:
            writer.writerow(start)
        for face in row["faces"]:
            writer.writerow(
                [
                    *start,
                    *face["box"],
                    face["score"],
                    *(face[name] for name in _FACE),
                    *(face["age_interval"] or ("", "")),
                ]
            )
    return failed


def _write_table(pictures: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="fold")
    # A model file without a calibrated interval gives none, and then there is no column for it.
    bounded = any(face["age_interval"] is not None for row in pictures for face in row["faces"])
    for title in ("face", "age", *(["90 %"] if bounded else []), "gender"):
        table.add_column(title, justify="right" if title == "age" else "left", no_wrap=title != "face")
    for row in pictures:
        name = Text(row["source"])
        if row["error"] is not None:
            table.add_row(name, Text(row["error"], style="red"))
        elif not row["faces"]:
            table.add_row(name, Text("no face found", style="dim"))
        for number, face in enumerate(row["faces"]):
            left, top, right, bottom = face["box"]
            sure = max(face["p_male"], 1 - face["p_male"])
            table.add_row(
                name if number == 0 else Text(),
                f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}",
                f"{math.floor(face['age'] + 0.5)} ± {face['age_std']:.0f}",
                *(["{:.0f}-{:.0f}".format(*face["age_interval"])] if bounded else []),
                f"{face['gender']} {sure:.0%}",
            )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to wrap at
    console.print(table)
