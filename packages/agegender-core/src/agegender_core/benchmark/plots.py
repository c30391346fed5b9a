"""Plots of latency against error, and of how times grow. They need Matplotlib."""

from __future__ import annotations

from typing import Any

from agegender_core.plotting import (
    COLOURS,
    FORMATS,
    MARKS,
    drawable,
    new_figure,
    our_style,
    plain_numbers,
)

_AXES = {"faces": "faces in a frame", "pixels": "pixels of a frame", "tracks": "tracks"}


def plot_models(report: dict[str, Any], suffix: str) -> bytes:
    """Milliseconds a face against the error of the age: a mark for each row of `measure_models`.

    Args:
        report: what `measure_models` gave.
        suffix: of `FORMATS`.

    Raises:
        ValueError: the age error of none of the models is known.
    """
    known = [about for about in report["models"] if _error(about)[0] is not None]
    if not known:
        raise ValueError("the age error of none of these models is known, so there is nothing to plot")
    titles = list(dict.fromkeys(_error(about)[1] for about in known))
    shown = [about for about in known if _error(about)[1] == titles[0]]
    batches, threads = (sorted({row[key] for row in report["rows"]}) for key in ("batch", "threads"))
    with our_style():
        figure, (axes,) = new_figure(3.8)
        for place, about in enumerate(shown):
            for row in report["rows"]:
                if row["model"] == about["model"]:
                    axes.scatter(
                        row["ms_per_face"],
                        _error(about)[0],
                        color=COLOURS[place % len(COLOURS)],
                        marker=MARKS[batches.index(row["batch"]) % len(MARKS)],
                        facecolor=None if row["threads"] == threads[0] else "none",
                        s=50,
                        zorder=3,
                    )
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
        axes.set_xlabel("milliseconds a face, median")
        axes.set_ylabel(titles[0])
        axes.grid(alpha=0.3, which="both")
        _model_legend(figure, shown, batches, threads)
        return FORMATS[suffix](figure)


def _model_legend(figure: Any, shown: list[dict[str, Any]], batches: list[int], threads: list[int]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[n % len(COLOURS)], marker="o", linestyle="", label=drawable(about["model"], 28))
        for n, about in enumerate(shown)
    ]
    handles += [
        Line2D([], [], color="black", marker=MARKS[n % len(MARKS)], linestyle="", label=f"{size} at a time")
        for n, size in enumerate(batches)
    ]
    if len(threads) > 1:
        more = ", ".join(map(str, threads[1:]))
        one = f"{threads[0]} thread{'s' * (threads[0] > 1)}"
        handles.append(Line2D([], [], color="black", marker="o", linestyle="", label=one))
        label = f"{more} threads"
        handles.append(Line2D([], [], color="black", marker="o", markerfacecolor="none", linestyle="", label=label))
    figure.legend(handles=handles, loc="outside upper center", ncols=3)


def _error(about: dict[str, Any]) -> tuple[float | None, str]:
    """A model's age error, or ``None``, and the title of its axis."""
    figures = about["figures"] or {}
    for name, title in (("age_mae", "age MAE (years)"), ("interval_mae", "error to the age group (years)")):
        if figures.get(name) is not None:
            return float(figures[name]), f"{title}, {drawable(str(figures['test_set']), 40)}"
    return None, ""


def plot_growth(report: dict[str, Any], suffix: str) -> bytes:
    """Median against size, both logarithmic: a panel for each axis of `measure_growth`, a line for each stage.

    Args:
        report: what `measure_growth` gave.
        suffix: of `FORMATS`.
    """
    rows = [row for row in report["rows"] if row["median_ms"] is not None]
    axes_of = list(dict.fromkeys(row["axis"] for row in rows))
    slopes = {(one["axis"], one["stage"]): one["slope_of_large"] for one in report["slopes"]}
    with our_style():
        figure, panels = new_figure(2.7 * len(axes_of), len(axes_of))
        for panel, axis in zip(panels, axes_of, strict=True):
            stages = list(dict.fromkeys(row["stage"] for row in rows if row["axis"] == axis))
            for place, stage in enumerate(stages):
                points = [row for row in rows if row["axis"] == axis and row["stage"] == stage]
                slope = slopes[axis, stage]
                below = [row["median_ms"] - row["p10_ms"] for row in points]
                above = [row["p90_ms"] - row["median_ms"] for row in points]
                panel.errorbar(
                    [row["n"] for row in points],
                    [row["median_ms"] for row in points],
                    [below, above],
                    color=COLOURS[place % len(COLOURS)],
                    marker=MARKS[place % len(MARKS)],
                    markersize=4,
                    linewidth=1.2,
                    label=stage if slope is None else f"{stage}, slope {slope:.2f}",
                )
            panel.set_xscale("log")
            panel.set_yscale("log")
            sizes = {row["n"]: row["label"] for row in rows if row["axis"] == axis}
            panel.set_xticks(list(sizes), list(sizes.values()))
            panel.set_xticks([], minor=True)
            plain_numbers(panel.yaxis)
            low, high = panel.get_ylim()
            panel.set_ylim(low, 4 * high)  # room for the legend
            if high > 1e4 * low:
                panel.set_yticks([], minor=True)
            panel.set_xlabel(_AXES[axis])
            panel.set_ylabel("milliseconds, median")
            panel.grid(alpha=0.3)
            panel.legend(fontsize=8)
        return FORMATS[suffix](figure)
