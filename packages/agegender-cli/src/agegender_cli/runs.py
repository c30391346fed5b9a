"""``agegender runs``: trainings side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from .errors import require_train
from .options import Format, FormatOption
from .output import message, print_figures
from .tables import FIGURES, cell, figure_cells, print_table, used_figures


def runs(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN_OR_FOLDER...", help="Runs, or folders with runs at any depth.")
    ],
    sort: Annotated[
        str,
        typer.Option(
            metavar="FIGURE",
            help="The best first: val_loss, age_mae, interval_mae, middle_mae, middle_bias, group_accuracy, "
            "gender_accuracy, faces_per_second or epochs; or run, by name.",
        ),
    ] = "run",
    format_: FormatOption = Format.TABLE,
) -> None:
    """List runs of training, how far and how good they are, and in which settings they differ.

    The figures are those of the best epoch on the run's own validation faces: compare only runs that were validated
    on the same faces.

    \b
    Examples:
      agegender runs runs
      agegender runs runs/wide runs/narrow --sort age_mae
      agegender runs runs --format csv > runs.csv
    """
    require_train()
    from agegender_train.runs.table import NoRunError, find_runs, read_run, run_table

    whole, damaged = [], []
    for folder in find_runs(folders):
        try:
            whole.append(read_run(folder))
        except NoRunError as error:
            damaged.append({"run": str(folder), "error": str(error)})
    rows = run_table(whole, sort)
    if format_ is Format.TABLE:
        for row in damaged:
            message(row["error"])
    listed = [*({**row, "error": None} for row in rows), *damaged]
    print_figures(
        format_,
        document=listed,
        rows=[_as_text(row) for row in listed],
        table=lambda: _print_table(rows),
    )


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    texts = {"data": " ".join, "differs": _differs}
    return {**row, **{name: text(row[name]) for name, text in texts.items() if name in row}}


def _differs(settings: dict[str, Any]) -> str:
    known = {name: value for name, value in settings.items() if value is not None}
    return " ".join(
        f"{name}={quote(value) if isinstance(value, str) else json.dumps(value)}" for name, value in known.items()
    )


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    names = used_figures(rows)
    cells = []
    for row in rows:
        best, speed = row["best_epoch"], row["faces_per_second"]
        cells.append(
            [
                row["run"],
                row["state"],
                row["network"],
                "+".join(row["data"]),
                str(row["n_training"]),
                str(row["n_validation"]),
                f"{row['epochs']}/{row['epochs_asked']}",
                cell(best),
                *figure_cells(row, names),
                cell(speed, "{:.0f}"),
                _differs(row["differs"]),
            ]
        )
    titles = ["run", "state", "network", "data", "n", "n val", "epochs", "best"]
    titles += [*(FIGURES[name][0] for name in names), "faces/s", "differs in"]
    print_table(titles, cells, left=("state", "network", "data", "differs in"))
