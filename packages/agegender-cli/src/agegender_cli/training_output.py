"""What ``agegender train`` shows: a progress bar on stderr, and the figures on stdout."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from agegender_cli.options import TableJsonOrCsv
from agegender_cli.tables import FIGURES, figure_cells, print_table, used_figures

if TYPE_CHECKING:
    from rich.progress import Progress

    from agegender_train.runs.fold_report import FoldReport
    from agegender_train.training import RunResult, TrainingProgress
    from agegender_train.training.folds import FoldProgress


class TrainingBar:
    """A bar over all steps of a training, or of all trainings of a cross-validation, and a line for each epoch."""

    def __init__(self, bar: Progress, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._task = bar.add_task("", total=None, where="starting", state="")
        self._completed: int | None = None
        self._fold = ""

    def fold(self, now: FoldProgress) -> None:
        """Takes note of a cross-validation's progress."""
        fold = f"Fold {now.fold}, {now.done + 1} of {now.folds}"
        if fold != self._fold:
            self._fold = fold
            self._say(fold + (": finished before" if now.now is None else ""))
        if now.now is not None:
            self.step(now.now, now.done, now.folds, f"{fold}  ")

    def step(self, now: TrainingProgress, done: int = 0, trainings: int = 1, prefix: str = "") -> None:
        """Takes note of a training's progress, after `done` other `trainings`."""
        if now.row is not None:
            self._say(_epoch_line(now))
        before = self._completed
        self._completed = ((done * now.epochs) + now.epoch - 1) * now.steps + now.step
        if before is None and now.step + now.epoch > 2:
            self._say(f"Going on in epoch {now.epoch}")
        if before is None or self._completed - before > 1:
            # Else what was done by an earlier process, or is left out, would count as speed.
            self._bar.reset(self._task, completed=self._completed)
        speed = self._bar.tasks[self._task].speed
        rate = f"{speed * now.faces:.0f} faces/s  " if speed else ""
        self._bar.update(
            self._task,
            total=trainings * now.epochs * now.steps,
            completed=self._completed,
            where=f"{prefix}Epoch {now.epoch}/{now.epochs}",
            state=f"{rate}loss {now.loss:.3f}",
        )

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._bar.console.print(line, highlight=False)


@contextmanager
def training_bar(quiet: bool) -> Iterator[TrainingBar]:
    """A bar on stderr, or nothing at all."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[where]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps  {task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        yield TrainingBar(bar, quiet)


def _epoch_line(now: TrainingProgress) -> str:
    row = now.row or {}
    figures = {"loss": "loss {:.3f}", "val_loss": "validation {:.3f}", "val_middle_mae": "age {:.2f} years"}
    figures["val_gender_accuracy"] = "gender {:.1%}"
    parts = [text.format(row[name]) for name, text in figures.items() if row.get(name) is not None]
    return f"{now.epoch:>4}  {'  '.join(parts)}"


def show_run(result: RunResult, format_: TableJsonOrCsv) -> None:
    """Prints a training's figures."""
    told = {"run": str(result.path), "model": str(result.model), "best_epoch": result.best_epoch}
    if format_ is TableJsonOrCsv.JSON:
        typer.echo(json.dumps({**told, "metrics": result.metrics}, indent=2, ensure_ascii=False))
        return
    if format_ is TableJsonOrCsv.CSV:
        flat = {**told, **{name: value for name, value in result.metrics.items() if not isinstance(value, dict)}}
        writer = csv.DictWriter(sys.stdout, list(flat), lineterminator="\n")
        writer.writeheader()
        writer.writerow(flat)
        return
    rows: list[tuple[str, str, str]] = [
        ("best epoch", "", f"{result.best_epoch}"),
        ("faces measured", "n", "{}"),
        ("age MAE", "age_mae", "{:.2f} years"),
        ("age error to group", "interval_mae", "{:.2f} years"),
        ("age error to middle", "middle_mae", "{:.2f} years"),
        ("age group right", "group_accuracy", "{:.2%}"),
        ("gender right", "gender_accuracy", "{:.2%}"),
    ]
    for title, name, text in rows:
        value = result.metrics.get(name)
        if value is not None or not name:
            typer.echo(f"{title:<20} {text.format(value) if name else text:>14}")


def show_folds(report: FoldReport, format_: TableJsonOrCsv) -> None:
    """Prints a cross-validation's figures; as JSON and CSV what is in its files."""
    if format_ is TableJsonOrCsv.JSON:
        typer.echo((report.path / "folds.json").read_text(), nl=False)
        return
    if format_ is TableJsonOrCsv.CSV:
        typer.echo(report.csv(), nl=False)
        return
    names = used_figures(report.rows)
    rows: list[list[Any]] = []
    for row in report.rows:
        counts = (row["n"], row["epochs"], row["best_epoch"])
        rows.append([str(row["fold"]), *map(str, counts), *figure_cells(row, names)])
    rows.append(["mean", "", "", "", *figure_cells(report.mean, names)])
    rows.append(["std", "", "", "", *(cell.lstrip("+") for cell in figure_cells(report.std, names))])
    print_table(["fold", "n", "epochs", "best", *(FIGURES[name][0] for name in names)], rows)
