"""The plots of a report, as PNG files: figures of all results, and the predictions of each test set's faces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agegender_core.decoding import MAX_AGE
from agegender_core.plotting import (
    COLOURS,
    GREY,
    MARKS,
    drawable,
    new_figure,
    our_style,
    plain_numbers,
    to_png,
)
from agegender_train.metrics import BANDS, GENDER_BINS, Outcomes, age_deviation
from agegender_train.metrics.scores import age_bands, gender_bins, judged
from agegender_train.store.labels import faces_per_year

_HARD = {
    "size": "side of the face (pixels)",
    "sharpness": "sharpness (grey levels)",
    "turn": "turn of the head (0 to 1)",
    "score": "detector score",
}

Results = Sequence[Mapping[str, Any]]
Grouped = Mapping[str, Mapping[str, Outcomes]]


def plot_all(results: Results, grouped: Grouped) -> dict[str, bytes]:
    """All plots that have data, by their file names.

    Args:
        results: see `results.result_of`.
        grouped: outcomes by test set and model.
    """
    with our_style():
        figures: dict[str, Any] = {
            "age-error.png": plot_bars(results, ("age_mae", "middle_mae"), "age MAE (years)", 1),
            "gender.png": plot_bars(results, ("gender_accuracy",), "gender accuracy (%)", 100),
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
    """A text as part of a file name.

    >>> file_name("insightface: a/b")
    'insightface-a-b'
    """
    return re.sub(r"[^\w.]+", "-", text).strip("-.") or "unnamed"


def plot_bars(results: Results, names: Sequence[str], title: str, scale: float) -> Any:
    """A bar with its 95 % interval for each result: of the first figure of `names` that any result has."""
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
    figure.supxlabel(f"{title}; line: 95 % interval", fontsize=10)  # below the names, too: it is wider than the axes
    axes.grid(axis="x", alpha=0.3)
    return figure


def plot_speed(results: Results) -> Any:
    """Time per face against error, a mark for each result."""
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
        plain_numbers(axes.xaxis)
    else:
        axes.set_xlim(0, 1.1 * max(times))
    axes.set_xlabel("time per face, in batches (milliseconds)")
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
    """Error by traits that may make a face hard, in fifths of the faces."""
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
    figure.supylabel("age MAE (years)", fontsize=10)
    return figure


def plot_error_by_age(models: Mapping[str, Outcomes]) -> Any:
    """Predicted minus true age by decade of the true age: the median, and the band of the middle 80 %."""
    known = {model: judged(outcomes.prediction, outcomes.labels) for model, outcomes in models.items()}
    shown = {model: one for model, one in known.items() if (~np.isnan(one[2].age_low)).sum() >= 10}
    if not shown:
        return None
    figure, panels = new_figure(0.8 + 1.7 * len(shown), len(shown), sharex=True, sharey=True)
    for place, (axes, (model, (age, _, labels))) in enumerate(zip(panels, shown.items(), strict=True)):
        error = age_deviation(labels, age)
        bands = age_bands(labels)
        there = [band for band in range(len(BANDS)) if (bands == band).sum() >= 3]
        middles = [10 * band + 5 for band in there]
        low, median, high = (
            np.array([np.quantile(error[bands == band], [0.1, 0.5, 0.9]) for band in there]).reshape(-1, 3).T
        )
        colour = COLOURS[place % 6]
        axes.axhline(0, color="black", linewidth=0.8)
        axes.fill_between(middles, low, high, color=colour, alpha=0.25, linewidth=0, label="middle 80 % of the faces")
        axes.plot(middles, median, color=colour, marker="o", label="median")
        axes.set_title(drawable(model))
        axes.grid(alpha=0.3)
    panels[0].legend(loc="lower left")
    panels[-1].set_xlabel("true age (years, by decade)")
    figure.supylabel("predicted minus true age (years)", fontsize=10)
    return figure


def plot_ages(models: Mapping[str, Outcomes]) -> Any:
    """The distributions of the true ages, and of the ages that each model predicts."""
    known = {model: judged(outcomes.prediction, outcomes.labels) for model, outcomes in models.items()}
    shown = {model: one for model, one in known.items() if (~np.isnan(one[2].age_low)).any()}
    if not shown:
        return None
    figure, panels = new_figure(1.0 + 1.5 * len(shown), len(shown), sharex=True, sharey=True)
    edges = np.arange(0, MAX_AGE + 3, 2) - 0.5
    for place, (axes, (model, (age, _, labels))) in enumerate(zip(panels, shown.items(), strict=True)):
        exact, spread = faces_per_year(labels)
        truth, _ = np.histogram(np.arange(MAX_AGE + 1), edges, weights=exact + spread)
        predicted, _ = np.histogram(np.clip(age, 0, MAX_AGE), edges)
        axes.stairs(50 * truth / truth.sum(), edges, fill=True, color=GREY, alpha=0.5, label="true ages")
        axes.stairs(
            50 * predicted / predicted.sum(), edges, color=COLOURS[place % 6], linewidth=1.6, label="predicted ages"
        )
        axes.set_title(drawable(model))
        axes.grid(axis="y", alpha=0.3)
    panels[0].legend(loc="upper right")
    panels[-1].set_xlabel("age (years)")
    figure.supylabel("share of faces (% per year of age)", fontsize=10)
    return figure


def plot_calibration(models: Mapping[str, Outcomes]) -> Any:
    """The share of men among faces of about the same probability of male, in 15 equal bins."""
    known = {}
    for model, outcomes in models.items():
        _, p_male, labels = judged(outcomes.prediction, outcomes.labels)
        if (labels.gender >= 0).sum() >= 20:
            known[model] = p_male[labels.gender >= 0], labels.gender[labels.gender >= 0]
    if not known:
        return None
    figure, (axes,) = new_figure(4.2)
    axes.plot([0, 100], [0, 100], color="black", linewidth=0.8, linestyle="--", label="perfect calibration")
    for place, (model, (p_male, gender)) in enumerate(known.items()):
        bins = gender_bins(p_male)
        points = [
            (100 * p_male[bins == k].mean(), 100 * (gender[bins == k] == 1).mean())
            for k in range(GENDER_BINS)
            if (bins == k).sum() >= 5
        ]
        at, share = np.array(points).reshape(-1, 2).T
        axes.plot(at, share, color=COLOURS[place % 6], marker=MARKS[place % 6], markersize=4, label=drawable(model, 30))
    axes.set_xlabel("predicted probability of male (%)")
    axes.set_ylabel("men among these faces (%)")
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def plot_confusion(outcomes: Outcomes) -> Any:
    """Confusion matrices in percent of each row: of the decades of age, and of the genders."""
    age, p_male, labels = judged(outcomes.prediction, outcomes.labels)
    aged, gendered = ~np.isnan(labels.age_low), labels.gender >= 0
    if not aged.any() and not gendered.any():
        return None
    heights = [3.4 if aged.any() else 0, 1.3 if gendered.any() else 0]
    rows = [height for height in heights if height]
    figure, panels = new_figure(0.6 + sum(rows), len(rows), height_ratios=rows)
    panels = list(panels)
    if aged.any():
        true = age_bands(labels)[aged]
        predicted = np.minimum(age[aged] // 10, len(BANDS) - 1).astype(np.int64)
        last = max(true.max(), predicted.max()) + 1
        _matrix(panels.pop(0), true, predicted, BANDS[:last], "age by decade")
    if gendered.any():
        predicted = (p_male[gendered] >= 0.5).astype(np.int64)
        _matrix(panels.pop(0), labels.gender[gendered].astype(np.int64), predicted, ("female", "male"), "gender")
    return figure


def _matrix(axes: Any, true: Any, predicted: Any, names: Sequence[str], what: str) -> None:
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (true, predicted), 1)
    total = counts.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        if counts[row, column]:
            light = shares[row, column] > 55
            axes.text(
                column,
                row,
                f"{shares[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if light else "black",
            )
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(
        range(len(names)), [f"{name} ({int(n[0]):,})" for name, n in zip(names, total, strict=True)], fontsize=8
    )
    axes.set_xlabel(f"predicted {what}")
    axes.set_ylabel("true (faces)")
    axes.set_title("% of each row")
