"""The report of a cross-validation: a table of its folds, mean and deviation, a plot, and the best fold's model."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.plotting import BLUE, VERMILLION, new_figure, our_style, to_png
from agegender_core.records import finite
from agegender_train.files import write_atomically
from agegender_train.runs.table import FIGURES, Run, sort_key

FORMAT = 1
_COLUMNS = ("fold", "run", "n", "n_training", "epochs", "best_epoch", *FIGURES)
_ONE_FOLD = re.compile(r"fold-\d+")


@dataclass(frozen=True)
class FoldReport:
    """The result of a cross-validation.

    Attributes:
        path: its folder.
        model: a copy of the best fold's model file, in that folder.
        best_fold: the fold with the best figure of `Settings.best_by`.
        rows: one for each fold: fold; run: its folder's name; n: number of validation faces; n_training; epochs;
            best_epoch; `table.FIGURES` of that epoch.
        mean: of each figure over the folds; ``None`` where no fold has it.
        std: standard deviation of each figure over the folds, of a sample (divided by folds - 1).
    """

    path: Path
    model: Path
    best_fold: int
    rows: list[dict[str, Any]]
    mean: dict[str, float | None]
    std: dict[str, float | None]

    def figures(self) -> dict[str, Any]:
        """The report as a mapping for JSON."""
        names = ("best_fold", "rows", "mean", "std")
        return {name: getattr(self, name) for name in names}

    def csv(self) -> str:
        """The rows as CSV with a header; unknown values are empty."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def fold_folders(out: Path, folds: Sequence[int]) -> dict[int, Path]:
    """The folder of each fold's run in the folder `out`: fold-0, fold-1, ..., as the split numbers them.

    Raises:
        ValueError: there are fewer than two folds, or `out` holds a run, or folds of another split.
    """
    if len(folds) < 2:
        raise ValueError(f"folds must be at least two, got {list(folds)}")
    width = len(str(max(folds)))
    folders = {fold: out / f"fold-{fold:0{width}}" for fold in folds}
    if (out / "config.json").exists():
        raise ValueError(f"{out} already holds a run, and folds need a folder of their own; name another")
    there = {place.name for place in out.glob("fold-*") if _ONE_FOLD.fullmatch(place.name)}
    own = ("model.onnx", "histories.png", "folds.csv", "folds.json")
    if not there and (strange := [name for name in own if os.path.lexists(out / name)]):
        raise ValueError(f"{out} holds {strange[0]} and no folds; name another folder")
    if strange := sorted(there - {folder.name for folder in folders.values()}):
        raise ValueError(f"{out} holds {strange[0]} of another cross-validation; name another folder, or delete it")
    return folders


def write_fold_report(out: Path, runs: Mapping[int, Run]) -> FoldReport:
    """Writes folds.csv, folds.json, histories.png and model.onnx, the best fold's, into the folder `out`.

    Args:
        out: the folder.
        runs: the finished run of each fold.

    Raises:
        OSError: a file can't be written, or a fold's model is missing.
    """
    rows = [_row(fold, run) for fold, run in runs.items()]
    first = next(iter(runs.values()))
    best_by = first.settings.get("best_by", "val_loss")
    best = min(rows, key=lambda row: sort_key(best_by, row[best_by]))
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in FIGURES}
    report = FoldReport(
        out,
        out / "model.onnx",
        best["fold"],
        rows,
        {name: _finite(fmean(values)) if values else None for name, values in columns.items()},
        {name: _std(values) for name, values in columns.items()},
    )
    about = {
        "format": FORMAT,
        "split": first.settings["split"],
        "data": first.config["data"],
        "settings": {name: value for name, value in first.settings.items() if name not in ("split", "fold")},
    }
    write_atomically(report.model, (runs[report.best_fold].path / "model.onnx").read_bytes())
    write_atomically(out / "histories.png", plot_histories(list(runs.values())))
    write_atomically(out / "folds.csv", report.csv().encode())
    write_atomically(out / "folds.json", {**about, **finite(report.figures())})
    return report


def _std(values: list[float]) -> float | None:
    # Not `statistics.stdev`, which fails on NaN: a fold may have diverged.
    return _finite(float(np.std(values, ddof=1))) if len(values) > 1 else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _row(fold: int, run: Run) -> dict[str, Any]:
    summary = run.summary()
    row = {**summary, "fold": fold, "run": run.path.name, "n": summary["n_validation"]}
    return {name: row[name] for name in _COLUMNS}


def plot_histories(runs: Sequence[Run]) -> bytes:
    """A PNG of the folds' training and validation loss, age error and gender accuracy by epoch.

    A thin line is a fold, with a dot at the exported epoch; a thick line is the mean, up to the end of the shortest
    fold.
    """
    exact = all(row.get("val_age_mae") == row.get("val_middle_mae") for run in runs for row in run.history)
    age = "Age error (MAE)" if exact else "Age error, to the middle of the age group"
    with our_style():
        figure, (losses, ages, genders) = new_figure(7.2, 3, sharex=True)
        _draw(losses, runs, "loss", BLUE, "--", "training", dots=False)
        _draw(losses, runs, "val_loss", VERMILLION, "-", "validation")
        _draw(ages, runs, "val_middle_mae", VERMILLION, "-", "validation")
        _draw(genders, runs, "val_gender_accuracy", VERMILLION, "-", "validation", factor=100)
        losses.set(title=f"Loss (thin: {len(runs)} folds, thick: their mean, dot: best epoch)", ylabel="loss")
        ages.set(title=age, ylabel="years")
        genders.set(title="Gender accuracy", ylabel="right (%)", xlabel="epoch")
        for axes in (losses, ages, genders):
            axes.grid(alpha=0.3)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if axes.lines:
                axes.legend()
            else:
                axes.set_yticks([])
                axes.text(0.5, 0.5, "nothing to measure", transform=axes.transAxes, ha="center", va="center")
        return to_png(figure)


def _draw(
    axes: Any,
    runs: Sequence[Run],
    name: str,
    colour: str,
    style: str,
    label: str,
    factor: float = 1,
    dots: bool = True,
) -> None:
    lines: list[npt.NDArray[np.float64]] = []
    for run in runs:
        values = [row.get(name) for row in run.history]
        line = np.array([np.nan if value is None else factor * value for value in values], np.float64)
        if not np.isfinite(line).any():
            continue
        lines.append(line)
        axes.plot(np.arange(1, len(line) + 1), line, color=colour, linestyle=style, linewidth=0.7, alpha=0.45)
        if dots and run.best is not None:
            best = int(run.best["epoch"] or 1)
            axes.plot(best, line[best - 1], ".", color=colour, markersize=5)
    if lines:
        common = min(map(len, lines))
        mean = np.mean([line[:common] for line in lines], axis=0)
        axes.plot(np.arange(1, common + 1), mean, color=colour, linestyle=style, linewidth=2.2, label=label)
