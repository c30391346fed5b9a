"""Tables of figures on stdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

FIGURES = {
    "val_loss": ("loss", "{:.3f}"),
    "age_mae": ("age MAE", "{:.2f}"),
    "middle_mae": ("to middle", "{:.2f}"),
    "middle_bias": ("bias", "{:+.2f}"),
    "interval_mae": ("to group", "{:.2f}"),
    "group_accuracy": ("in group", "{:.1%}"),
    "gender_accuracy": ("gender", "{:.2%}"),
}
"""Title and format of each figure of the validation faces."""


def used_figures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of `FIGURES` worth a column: not those that no row has, nor those that repeat the MAE of known ages."""
    used = [name for name in FIGURES if any(row.get(name) is not None for row in rows)]
    if "group_accuracy" not in used:
        return [name for name in used if name not in ("middle_mae", "interval_mae")]
    return used


def figure_cells(row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The figures as they are shown, "-" for what isn't known."""
    return [cell(row.get(name), FIGURES[name][1]) for name in names]


def cell(value: float | None, text: str = "{}") -> str:
    """A figure as it is shown: as `text` has it, "-" if it isn't known."""
    return "-" if value is None else text.format(value)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[str] = ()) -> None:
    """Prints rows of cells below their titles: the first column and those in `left` to the left, others right."""
    lines, to_left = [list(titles), *map(list, rows)], {titles[0], *left}
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            f"{text:<{width}}" if title in to_left else f"{text:>{width}}"
            for title, text, width in zip(titles, line, widths, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())
