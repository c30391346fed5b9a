"""Plots of the predictions of faces: ages and genders, true and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agegender_core.decoding import MAX_AGE
from agegender_train.metrics import BANDS, GENDER_BINS, Outcomes
from agegender_train.metrics.scores import age_bands
from agegender_train.pages.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    drawable,
    new_figure,
)
from agegender_train.store.labels import faces_per_year

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, GREY)
MARKS = ("o", "s", "^", "D", "v", "P")
"""Of models, in their order."""


def plot_error_by_age(models: Mapping[str, Outcomes]) -> Any:
    """Predicted less true age by decade of the true one: the median, and the band of the middle 80 %."""
    shown = {model: outcomes for model, outcomes in models.items() if (~np.isnan(outcomes.labels.age_low)).sum() >= 10}
    if not shown:
        return None
    figure, panels = new_figure(0.8 + 1.7 * len(shown), len(shown), sharex=True, sharey=True)
    for place, (axes, (model, outcomes)) in enumerate(zip(panels, shown.items(), strict=True)):
        error = outcomes.prediction.age.astype(np.float64) - outcomes.labels.age
        bands = age_bands(outcomes.labels)
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
    figure.supylabel("predicted less true age (years)", fontsize=10)
    return figure


def plot_ages(models: Mapping[str, Outcomes]) -> Any:
    """The distribution of the true ages, and of those that each model tells."""
    labels = next(iter(models.values())).labels
    exact, spread = faces_per_year(labels)
    if not (exact + spread).sum():
        return None
    figure, panels = new_figure(1.0 + 1.5 * len(models), len(models), sharex=True, sharey=True)
    edges = np.arange(0, MAX_AGE + 2, 2) - 0.5
    for place, (axes, (model, outcomes)) in enumerate(zip(panels, models.items(), strict=True)):
        exact, spread = faces_per_year(outcomes.labels)
        truth, _ = np.histogram(np.arange(MAX_AGE + 1), edges, weights=exact + spread)
        told, _ = np.histogram(np.clip(outcomes.prediction.age, 0, MAX_AGE), edges)
        axes.stairs(50 * truth / truth.sum(), edges, fill=True, color=GREY, alpha=0.5, label="true ages")
        axes.stairs(50 * told / told.sum(), edges, color=COLOURS[place % 6], linewidth=1.6, label="told ages")
        axes.set_title(drawable(model))
        axes.grid(axis="y", alpha=0.3)
    panels[0].legend(loc="upper right")
    panels[-1].set_xlabel("age (years)")
    figure.supylabel("share of faces (% per year of age)", fontsize=10)
    return figure


def plot_calibration(models: Mapping[str, Outcomes]) -> Any:
    """The share of men among faces of about the same probability of male, in 15 equal bins of it."""
    known = {model: outcomes[outcomes.labels.gender >= 0] for model, outcomes in models.items()}
    known = {model: outcomes for model, outcomes in known.items() if len(outcomes) >= 20}
    if not known:
        return None
    figure, (axes,) = new_figure(4.2)
    axes.plot([0, 100], [0, 100], color="black", linewidth=0.8, linestyle="--", label="as it should be")
    for place, (model, outcomes) in enumerate(known.items()):
        p_male = outcomes.prediction.p_male.astype(np.float64)
        bins = np.clip(np.floor(p_male * GENDER_BINS), 0, GENDER_BINS - 1)
        points = [
            (100 * p_male[bins == k].mean(), 100 * (outcomes.labels.gender[bins == k] == 1).mean())
            for k in range(GENDER_BINS)
            if (bins == k).sum() >= 5
        ]
        at, share = np.array(points).reshape(-1, 2).T
        axes.plot(at, share, color=COLOURS[place % 6], marker=MARKS[place % 6], markersize=4, label=drawable(model, 30))
    axes.set_xlabel("told probability of male (%)")
    axes.set_ylabel("men among these faces (%)")
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def plot_confusion(outcomes: Outcomes) -> Any:
    """Two matrices with the share of each row: told against true decade of age, and told against true gender."""
    aged, gendered = ~np.isnan(outcomes.labels.age_low), outcomes.labels.gender >= 0
    if not aged.any() and not gendered.any():
        return None
    heights = [3.4 if aged.any() else 0, 1.3 if gendered.any() else 0]
    rows = [height for height in heights if height]
    figure, panels = new_figure(0.6 + sum(rows), len(rows), height_ratios=rows)
    panels = list(panels)
    if aged.any():
        true = age_bands(outcomes.labels)[aged]
        told = np.minimum(outcomes.prediction.age[aged] // 10, len(BANDS) - 1).astype(np.int64)
        last = max(true.max(), told.max()) + 1
        _matrix(panels.pop(0), true, told, BANDS[:last], "age by decade")
    if gendered.any():
        told = (outcomes.prediction.p_male[gendered] >= 0.5).astype(np.int64)
        _matrix(panels.pop(0), outcomes.labels.gender[gendered].astype(np.int64), told, ("female", "male"), "gender")
    return figure


def _matrix(axes: Any, true: Any, told: Any, names: Sequence[str], what: str) -> None:
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (true, told), 1)
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
    axes.set_xlabel(f"told {what}")
    axes.set_ylabel("true (faces)")
    axes.set_title("% of each row")
