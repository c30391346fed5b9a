"""How `agegender predict` prints its rows: a table for people, JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass, field
from typing import Any

from .options import RowFormat
from .output import json_text, plain, print_json

_COLUMNS = ("source", "error", "width", "height", "left", "top", "right", "bottom", "score")
# New columns go to the end: readers may count them.
_FACE = ("age", "age_std", "gender", "p_male")
_INTERVAL = ("age_interval_low", "age_interval_high")
_LATER = ("quality",)


class _JsonLines:
    """One object a picture and line, as it comes."""

    def write(self, row: dict[str, Any]) -> None:
        print(json_text(row), flush=True)

    def close(self) -> None:
        pass


class _Csv:
    """One line a face, and one for a picture without, all with the same columns."""

    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        columns = [*_COLUMNS, *_FACE, *_INTERVAL, *_LATER]
        self._writer.writerow(columns)
        self._width = len(columns)

    def write(self, row: dict[str, Any]) -> None:
        start = [*(plain(row[name] or "", controls=False) for name in ("source", "error")), row["width"], row["height"]]
        if not row["faces"]:
            self._writer.writerow([*start, *[""] * (self._width - len(start))])
        for face in row["faces"]:
            interval = face["age_interval"] or ("", "")
            values, later = ([face[name] for name in names] for names in (_FACE, _LATER))
            self._writer.writerow([*start, *face["box"], face["score"], *values, *interval, *later])
        sys.stdout.flush()

    def close(self) -> None:
        pass


@dataclass
class _Json:
    """One document, at the end."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def close(self) -> None:
        print_json(self.rows)


class _Table(_Json):
    """For people, at the end."""

    def close(self) -> None:
        if self.rows:
            _write_table(self.rows)


WRITERS = {RowFormat.TABLE: _Table, RowFormat.JSON: _Json, RowFormat.JSONL: _JsonLines, RowFormat.CSV: _Csv}


def _write_table(pictures: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agegender_core.records import UNREADABLE

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="fold")
    # A model file without a calibrated interval gives none, and then there is no column for it.
    bounded = any(face["age_interval"] is not None for row in pictures for face in row["faces"])
    for title in ("face", "age", *(["90 %"] if bounded else []), "gender"):
        table.add_column(title, justify="right" if title == "age" else "left", no_wrap=title != "face")
    for row in pictures:
        name = Text(plain(row["source"], controls=False))
        if row["error"] is not None and not row["faces"]:
            table.add_row(name, Text(plain(row["error"], controls=False), style="red"))
        elif not row["faces"]:
            table.add_row(name, Text("no face found", style="dim"))
        for number, face in enumerate(row["faces"]):
            left, top, right, bottom = face["box"]
            table.add_row(
                name if number == 0 else Text(),
                f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}",
                _age(face),
                *([_interval(face)] if bounded else []),
                _gender(face),
                style="dim" if (face["quality"] or 0) < UNREADABLE else None,
            )
        if row["error"] is not None and row["faces"]:
            table.add_row(Text(), Text(plain(row["error"], controls=False), style="red"))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to wrap at
    console.print(table)


def _age(face: dict[str, Any]) -> str:
    if face["age"] is None:
        return "-"
    from agegender_core.records import shown_age

    spread = "" if face["age_std"] is None else f" ± {face['age_std']:.0f}"
    return f"{shown_age(face['age'])}{spread}"


def _interval(face: dict[str, Any]) -> str:
    if face["age_interval"] is None:
        return "-"
    from agegender_core.records import shown_interval

    return shown_interval(face["age_interval"])


def _gender(face: dict[str, Any]) -> str:
    if face["p_male"] is None:
        return "-"
    from agegender_core.records import shown_gender

    return f"{shown_gender(face['p_male'])} {max(face['p_male'], 1 - face['p_male']):.0%}"
