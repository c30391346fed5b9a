"""A report's plots: from its results and predictions to PNG files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agegender_train.metrics import Outcomes
from agegender_train.pages.drawing import drawable, new_figure, our_style, to_png
from agegender_train.report.face_plots import (
    COLOURS,
    MARKS,
    plot_ages,
    plot_calibration,
    plot_confusion,
    plot_error_by_age,
)

_HARD = {
    "size": "side of the face (pixels)",
    "sharpness": "sharpness (grey levels)",
    "turn": "turned away (0 to 1)",
    "score": "detector's score",
}

Results = Sequence[Mapping[str, Any]]
Grouped = Mapping[str, Mapping[str, Outcomes]]


def plot_all(results: Results, grouped: Grouped) -> dict[str, bytes]:
    """All plots that have something to show, by their file names.

    Args:
        results: see `results.result_of`.
        grouped: outcomes by test set and model.
    """
    with our_style():
        figures: dict[str, Any] = {
            "age-error.png": plot_bars(results, ("age_mae", "middle_mae"), "mean absolute error of the age (years)", 1),
            "gender.png": plot_bars(results, ("gender_accuracy",), "gender right (%)", 100),
            "speed.png": plot_speed(results),
        }
        for test_set, models in grouped.items():
            name = file_name(test_set)
            figures[f"{name}-error-by-age.png"] = plot_error_by_age(models)
            figures[f"{name}-ages.png"] = plot_ages(models)
            figures[f"{name}-calibration.png"] = plot_calibration(models)
            figures[f"{name}-hard.png"] = plot_hard([row for row in results if row["test_set"] == test_set])
            for model, outcomes in models.items():
                figures[f"{name}-{file_name(model)}-confusion.png"] = plot_confusion(outcomes)
        return {name: to_png(figure) for name, figure in figures.items() if figure is not None}


def file_name(text: str) -> str:
    """A name as part of a file's.

    >>> file_name("insightface: a/b")
    'insightface-a-b'
    """
    return re.sub(r"[^\w.]+", "-", text).strip("-.") or "unnamed"


def plot_bars(results: Results, names: Sequence[str], title: str, scale: float) -> Any:
    """A bar with its 95 % interval for each result that has the first of the figures `names` that any has."""
    name = next((name for name in names if any(row.get(name) is not None for row in results)), None)
    shown = [row for row in results if name is not None and row.get(name) is not None]
    if name is None or not shown:
        return None
    models = list(dict.fromkeys(row["model"] for row in shown))
    figure, (axes,) = new_figure(0.9 + 0.34 * len(shown))
    for place, row in enumerate(shown):
        value = scale * row[name]
        colour = COLOURS[models.index(row["model"]) % len(COLOURS)]
        axes.barh(place, value, color=colour, height=0.7)
        ends = row["intervals"].get(name)
        if ends:
            axes.plot([scale * ends[0], scale * ends[1]], [place, place], color="black", linewidth=1.5)
        axes.text(0, place, f" {value:.{2 if scale == 1 else 1}f}", va="center", color="white", fontweight="bold")
    axes.set_yticks(
        range(len(shown)),
        [f"{drawable(row['model'], 22)}\n{drawable(row['test_set'], 22)}" for row in shown],
        fontsize=8,
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"{title}; line: 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    return figure


def plot_speed(results: Results) -> Any:
    """Time a face against error, a mark for each result."""
    shown = [row for row in results if row.get("age_mae") is not None]
    if not shown:
        return None
    models, sets = (list(dict.fromkeys(row[key] for row in shown)) for key in ("model", "test_set"))
    figure, (axes,) = new_figure(3.4)
    for row in shown:
        model, test_set = models.index(row["model"]), sets.index(row["test_set"])
        axes.scatter(
            row["ms_per_face"], row["age_mae"], color=COLOURS[model % 6], marker=MARKS[test_set % 6], s=60, zorder=3
        )
    times = [row["ms_per_face"] for row in shown]
    if max(times) > 4 * min(times):
        axes.set_xscale("log")
        for set_format in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            set_format(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    else:
        axes.set_xlim(0, 1.1 * max(times))
    axes.set_xlabel("time a face, in batches (milliseconds)")
    axes.set_ylabel("age MAE (years)")
    axes.grid(alpha=0.3, which="both")
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[i % 6], marker="o", linestyle="", label=drawable(model, 28))
        for i, model in enumerate(models)
    ]
    handles += [
        Line2D([], [], color="black", marker=MARKS[i % 6], linestyle="", label=drawable(name, 20))
        for i, name in enumerate(sets)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_hard(results: Results) -> Any:
    """Error by what may make a face hard, in fifths of the faces."""
    figure_of = "age_mae" if any(row.get("age_mae") is not None for row in results) else "middle_mae"
    kinds = [kind for kind in _HARD if any(kind in row["parts"] for row in results)]
    kinds = [kind for kind in kinds if any(row.get(figure_of) is not None for row in results)]
    if not kinds:
        return None
    figure, panels = new_figure(0.9 + 1.5 * len(kinds), len(kinds), sharey=True)
    for axes, kind in zip(panels, kinds, strict=True):
        for place, row in enumerate(results):
            parts = row["parts"].get(kind, {})
            values = [part[figure_of] for part in parts.values()]
            ends = [
                part["intervals"].get(figure_of) or (value, value)
                for part, value in zip(parts.values(), values, strict=True)
            ]
            spots = np.arange(len(parts)) + 0.08 * (place - (len(results) - 1) / 2)
            axes.plot(
                spots,
                values,
                color=COLOURS[place % 6],
                marker=MARKS[place % 6],
                markersize=4,
                label=drawable(row["model"], 30),
            )
            for spot, (low, high) in zip(spots, ends, strict=True):
                axes.plot([spot, spot], [low, high], color=COLOURS[place % 6], linewidth=1)
        names = next(list(row["parts"][kind]) for row in results if kind in row["parts"])
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set_xlabel(_HARD[kind])
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    figure.supylabel("mean absolute error of the age (years)", fontsize=10)
    return figure
