"""``agegender counts``: what a stream has counted, added up, and as a plot of the day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from .errors import UserError
from .options import Format, FormatOption
from .output import message, print_figures
from .plots import check_plot
from .tables import cell, print_table
from .targets import refuse_source

_GENDERS = ("female", "male", None)


def counts(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Tables that stream --counts wrote.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the counts over time: .png or .svg.")
    ] = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Add up the counts of agegender stream, by region, event, gender and age band, and plot them over time.

    \b
    Examples:
      agegender counts counts.csv
      agegender counts monday.parquet tuesday.parquet --plot days.png
    """
    from agegender_core.counting import read_counts

    if plot is not None:
        check_plot(plot)
        refuse_source(plot, files, "--plot")
    rows: list[dict[str, Any]] = []
    for path in files:
        try:
            rows += read_counts(path)
        except ModuleNotFoundError:
            raise UserError(f"{path}: to read Parquet, PyArrow is needed", hint="pip install pyarrow") from None
    if not rows:
        raise UserError(f"there are no counts in {', '.join(map(str, files))}")
    totals = _totals(rows)
    print_figures(format_, document=totals, rows=totals, table=lambda: _print(totals))
    if plot is not None:
        from agegender_core.counting.plot import plot_counts
        from agegender_core.files import write_bytes

        write_bytes(plot, plot_counts(rows, plot.suffix.lower()))
        message(f"Written: {plot}.")


def _totals(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each event of a region: how many in all, by gender, and by age band, youngest first."""
    bands = sorted({row["age_band"] for row in rows if row["age_band"] is not None}, key=_first_year)
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["source"], row["region"], row["event"]), []).append(row)
    totals = []
    for (source, region, event), own in groups.items():
        total = {"source": source, "region": region, "event": event, "count": _sum(own)}
        total |= {gender or "unknown": _sum([row for row in own if row["gender"] == gender]) for gender in _GENDERS}
        total |= {band: _sum([row for row in own if row["age_band"] == band]) for band in bands}
        totals.append({**total, "seconds": _seconds(own)})
    return totals


def _first_year(band: str) -> int:
    found = re.match(r"\d+", band)
    return int(found[0]) if found else 0


def _print(totals: Sequence[Mapping[str, Any]]) -> None:
    several = len({row["source"] for row in totals}) > 1
    texts = ["source", "region", "event"] if several else ["region", "event"]
    numbers = [name for name in totals[0] if name not in ("source", "region", "event", "seconds")]
    shown = [name for name in numbers if name == "count" or any(row[name] for row in totals)]
    lines = [
        [*(row[name] for name in texts), *(str(row[name]) for name in shown), cell(row["seconds"], "{:.1f}")]
        for row in totals
    ]
    print_table([*texts, *shown, "seconds"], lines, texts)


def _sum(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["count"] for row in rows)


def _seconds(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The mean time in the zone of all who are counted in these rows."""
    known = [row for row in rows if row["seconds"] is not None]
    return round(fmean((row["seconds"] for row in known), [row["count"] for row in known]), 1) if known else None
