"""Plots of an audit: what is in stores, what was rejected, and how balanced the sides of a split are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from agegender_core.plotting import (
    BLUE,
    GENDER_COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    drawable,
    new_figure,
    our_style,
    to_png,
)
from agegender_train.audit.summary import UNKNOWN, Summary
from agegender_train.store.labels import AGE_BANDS, MAX_AGE, faces_per_year

_MOST_BARS = 15


def plot_all(summaries: Sequence[Summary]) -> dict[str, bytes]:
    """All plots that have something to show, by their file names."""
    with our_style():
        figures = {name: plot(summaries) for name, plot in PLOTS.items()}
        return {name: to_png(figure) for name, figure in figures.items() if figure is not None}


def plot_ages(summaries: Sequence[Summary]) -> Any:
    """The age distribution of each store, one above the other on one scale of years."""
    shown = [(summary, *faces_per_year(summary.labels)) for summary in summaries]
    shown = [(summary, exact, spread) for summary, exact, spread in shown if exact.sum() + spread.sum()]
    if not shown:
        return None
    figure, panels = new_figure(1.0 + 1.6 * len(shown), len(shown), sharex=True)
    years = np.arange(MAX_AGE + 1)
    handles: dict[str, Any] = {}
    for axes, (summary, exact, spread) in zip(panels, shown, strict=True):
        total = exact.sum() + spread.sum()
        exact, spread = 100 * exact / total, 100 * spread / total
        if exact.any():
            handles["known ages, by year"] = axes.bar(years, exact, 1.0, color=BLUE, linewidth=0)
        if spread.any():
            edges, top = np.arange(MAX_AGE + 2) - 0.5, exact + spread
            shape = axes.stairs(top, edges, baseline=exact, fill=True, color=ORANGE)
            handles["age groups, spread over their years"] = shape
        axes.set_title(f"{drawable(summary.name)}: {round(total):,} faces with an age")
        axes.set_xlim(-1, MAX_AGE + 1)
        axes.grid(axis="y", alpha=0.3)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2)
    figure.supylabel("share of faces (% per year of age)", fontsize=10)
    panels[-1].set_xlabel("age (years)")
    panels[-1].set_xticks(range(0, MAX_AGE + 1, 10))
    return figure


def plot_gender(summaries: Sequence[Summary]) -> Any:
    """One bar a store, divided by gender."""
    return _shares([(summary.name, summary.genders) for summary in summaries], GENDER_COLOURS, "share of faces (%)")


def plot_boxes(summaries: Sequence[Summary]) -> Any:
    """One bar a store, divided by where the faces' boxes come from."""
    colours = {"detected": GREEN, "known": PURPLE, UNKNOWN: GREY}
    ways = {way for summary in summaries for way in summary.box_from}
    colours |= dict.fromkeys(sorted(ways - set(colours)), ORANGE)
    return _shares([(summary.name, summary.box_from) for summary in summaries], colours, "share of faces (%)")


def _shares(rows: Sequence[tuple[str, dict[str, int]]], colours: dict[str, str], unit: str) -> Any:
    rows = [(name, counts) for name, counts in rows if sum(counts.values())]
    if not rows:
        return None
    figure, (axes,) = new_figure(1.2 + 0.5 * len(rows))
    used = [part for part in colours if any(counts.get(part) for _, counts in rows)]
    left = np.zeros(len(rows))
    for part in used:
        width = np.array([100 * counts.get(part, 0) / sum(counts.values()) for _, counts in rows])
        bars = axes.barh(range(len(rows)), width, left=left, color=colours[part], label=drawable(part))
        texts = [f"{share:.1f}" if share >= 9 else "" for share in width]
        axes.bar_label(bars, texts, label_type="center", color="white", fontweight="bold", fontsize=9)
        left += width
    axes.set_yticks(range(len(rows)), [drawable(name, 24) for name, _ in rows])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel=unit)
    figure.legend(loc="outside upper center", ncols=len(used))
    return figure


def plot_gender_by_age(summaries: Sequence[Summary]) -> Any:
    """For each store the faces of each age band by gender."""
    shown = [summary for summary in summaries if len(summary)]
    if not shown:
        return None
    figure, panels = new_figure(1.0 + 1.6 * len(shown), len(shown), sharex=True)
    handles: dict[str, Any] = {}
    for axes, summary in zip(panels, shown, strict=True):
        table = summary.gender_by_band()
        used = [word for word in GENDER_COLOURS if any(row[word] for row in table.values())]
        for index, word in enumerate(used):
            heights = [row[word] for row in table.values()]
            places = np.arange(len(table)) + (index - (len(used) - 1) / 2) * 0.8 / len(used)
            handles[word] = axes.bar(places, heights, 0.8 / len(used), color=GENDER_COLOURS[word])
        axes.set_title(f"{drawable(summary.name)}: {len(summary):,} faces")
        axes.grid(axis="y", alpha=0.3)
        axes.yaxis.get_major_locator().set_params(integer=True)
    panels[-1].set_xticks(range(len(AGE_BANDS) + 1), [*AGE_BANDS, "no\nage"], fontsize=8)
    panels[-1].set_xlabel("age (years; the middle of an age group)")
    figure.supylabel("faces", fontsize=10)
    ordered = {word: handles[word] for word in GENDER_COLOURS if word in handles}
    figure.legend(ordered.values(), ordered.keys(), loc="outside upper center", ncols=3)
    return figure


def plot_groups(summaries: Sequence[Summary]) -> Any:
    """For each store that has them, the faces by group of ancestry, in the dataset's own words."""
    return _bars([(s.name, s.groups, len(s)) for s in summaries], BLUE, "share of faces (%)", "faces")


def plot_rejected(summaries: Sequence[Summary]) -> Any:
    """For each store the rejected entries, by reason."""
    rows = [(s.name, s.rejected, s.pictures) for s in summaries]
    return _bars(rows, ORANGE, "share of the dataset's entries (%)", "entries")


def _bars(rows: Sequence[tuple[str, dict[str, int], int]], colour: str, unit: str, what: str) -> Any:
    rows = [(name, _most(counts), total) for name, counts, total in rows if counts]
    if not rows:
        return None
    heights = [0.5 + 0.24 * len(counts) for _, counts, _ in rows]
    figure, panels = new_figure(0.5 + sum(heights), len(rows), height_ratios=heights)
    for axes, (name, counts, total) in zip(panels, rows, strict=True):
        shares = [100 * count / max(total, 1) for count in counts.values()]
        bars = axes.barh(range(len(counts)), shares, color=colour)
        axes.bar_label(bars, [f" {count:,}" for count in counts.values()], fontsize=9)
        axes.set_yticks(range(len(counts)), [drawable(word, 30) for word in counts], fontsize=9)
        axes.set(xlim=(0, max(shares) * 1.2), ylim=(len(counts) - 0.4, -0.6))
        axes.locator_params(axis="x", nbins=5)
        axes.set_title(f"{drawable(name)}: {sum(counts.values()):,} of {total:,} {what}")
    panels[-1].set_xlabel(unit)
    return figure


def _most(counts: dict[str, int]) -> dict[str, int]:
    if len(counts) <= _MOST_BARS:
        return counts
    rest = list(counts.values())[_MOST_BARS - 1 :]
    return dict(list(counts.items())[: _MOST_BARS - 1]) | {f"{len(rest):,} others": sum(rest)}


PLOTS: dict[str, Callable[[Sequence[Summary]], Any]] = {
    "ages.png": plot_ages,
    "gender.png": plot_gender,
    "gender-by-age.png": plot_gender_by_age,
    "groups.png": plot_groups,
    "rejected.png": plot_rejected,
    "boxes.png": plot_boxes,
}
"""The plots by their file names."""


def plot_folds(figures: Sequence[Mapping[str, Any]]) -> bytes:
    """Faces, ages and genders of each side as PNG; `figures` are those of `splits.balance`."""
    sides = [part for part in figures if part["fold"] != "all"]
    everything = figures[-1]
    names, places = [part["fold"] for part in sides], np.arange(len(sides))
    with our_style():
        figure, (faces, ages, genders) = new_figure(6.4, 3, sharex=True, height_ratios=[1, 1.7, 1])
        faces.bar(places, [part["n"] for part in sides], color=BLUE)
        faces.set(title="faces", ylabel="faces")
        bands = list(everything["bands"] or {})
        bottom = np.zeros(len(sides))
        shades = [_shade(index / max(len(bands) - 1, 1)) for index in range(len(bands))]
        for band, colour in zip(bands, shades, strict=True):
            share = np.array([100 * part["bands"][band] if part["bands"] else 0.0 for part in sides])
            ages.bar(places, share, bottom=bottom, color=colour, label=band)
            bottom += share
        ages.set(title="ages (years)", ylabel="share (%)", ylim=(0, 100))
        if bands:
            handles, labels = ages.get_legend_handles_labels()
            ages.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        genders.bar(places, [100 * (part["male"] or 0) for part in sides], color=BLUE)
        known = everything["male"] is not None
        if known:
            genders.axhline(100 * everything["male"], color=GREY, linestyle="--", linewidth=1)
        genders.set(
            title="male (dashed: all folds)" if known else "male: no gender is known",
            ylabel="share (%)",
            ylim=(0, 100),
            xlabel="fold",
        )
        genders.set_xticks(places, names)
        for axes in (faces, genders):
            axes.grid(axis="y", alpha=0.3)
        return to_png(figure)


def _shade(part: float) -> tuple[float, float, float]:
    """From light yellow over green to dark blue, as matplotlib's viridis: distinguishable in grey, too."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps["viridis_r"](part)
    return red, green, blue
