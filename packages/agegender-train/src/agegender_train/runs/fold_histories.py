"""The histories of all folds as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_train.pages.drawing import BLUE, VERMILLION, new_figure, our_style, to_png
from agegender_train.runs.table import Run

Lines = list[npt.NDArray[np.float64]]


def plot_histories(runs: Sequence[Run]) -> bytes:
    """Loss of training and validation, age error and gender accuracy of the validation by epoch, as PNG.

    A thin line is a fold, with a dot at the epoch that was exported, a thick one the mean of all folds, as far as all
    of them go.
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
    lines: Lines = []
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
