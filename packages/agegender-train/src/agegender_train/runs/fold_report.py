"""What the folds of a cross-validation say together: a table, mean and deviation, a plot, and the best fold's model."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from agegender_core.records import finite
from agegender_train.files import write_atomically
from agegender_train.runs.fold_histories import plot_histories
from agegender_train.runs.table import FIGURES, Run, sort_key

FORMAT = 1
_COLUMNS = ("fold", "run", "n", "n_training", "epochs", "best_epoch", *FIGURES)
_ONE_FOLD = re.compile(r"fold-\d+")


@dataclass(frozen=True)
class FoldReport:
    """What a cross-validation left.

    Attributes:
        path: its folder.
        model: the best fold's model file, as it lies there.
        best_fold: the one with the best figure of `Settings.best_by`.
        rows: one a fold: fold; run: its folder's name; n: faces that it was validated on; n_training; epochs;
            best_epoch; `run_table.FIGURES` of that epoch.
        mean: of each figure over the folds; ``None`` where no fold has it.
        std: its standard deviation over the folds, as of a sample (by folds - 1).
    """

    path: Path
    model: Path
    best_fold: int
    rows: list[dict[str, Any]]
    mean: dict[str, float | None]
    std: dict[str, float | None]

    def figures(self) -> dict[str, Any]:
        """As a mapping that JSON can hold."""
        names = ("best_fold", "rows", "mean", "std")
        return {name: getattr(self, name) for name in names}

    def csv(self) -> str:
        """The rows as CSV, with a header; what is unknown is empty."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def fold_folders(out: Path, folds: Sequence[int]) -> dict[int, Path]:
    """The folder of each fold's run in the folder `out`: fold-0, fold-1, ..., as the split numbers them.

    Raises:
        ValueError: there are less than two folds, or `out` holds a run, or folds of another split.
    """
    if len(folds) < 2:
        raise ValueError(f"folds must be at least two, got {list(folds)}")
    width = len(str(max(folds)))
    folders = {fold: out / f"fold-{fold:0{width}}" for fold in folds}
    if (out / "config.json").exists():
        raise ValueError(f"{out} already holds a run, and folds need a folder of their own; name another")
    there = {place.name for place in out.glob("fold-*") if _ONE_FOLD.fullmatch(place.name)}
    if strange := sorted(there - {folder.name for folder in folders.values()}):
        raise ValueError(f"{out} holds {strange[0]} of another cross-validation; name another folder, or delete it")
    return folders


def write_fold_report(out: Path, runs: Mapping[int, Run]) -> FoldReport:
    """Writes folds.csv, folds.json, histories.png and model.onnx, the best fold's, into the folder `out`.

    Args:
        out: the folder.
        runs: the finished run of each fold.

    Raises:
        OSError: a file can't be written, or a fold's model is gone.
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
    # Not `statistics.stdev`, which fails on NaN: a fold may have gone astray.
    return _finite(float(np.std(values, ddof=1))) if len(values) > 1 else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _row(fold: int, run: Run) -> dict[str, Any]:
    told = run.summary()
    own = {"fold": fold, "run": run.path.name, "n": told["n_validation"]}
    return {name: own[name] if name in own else told[name] for name in _COLUMNS}
