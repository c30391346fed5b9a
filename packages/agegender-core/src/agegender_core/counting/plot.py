"""A plot of counts over time. It needs Matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agegender_core.plotting import FORMATS, GENDER_COLOURS, GREY, drawable, new_figure, our_style

_UP, _DOWN = ("in", "entered", "appeared"), ("out",)
_BARS = 60  # at most
_EPOCH = datetime(1970, 1, 1)
_STEPS = (1, 5, 10, 30, 60, 180, 720, 1440)  # minutes of a bar
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)  # between two numbers below them


def plot_counts(rows: Sequence[Mapping[str, Any]], suffix: str) -> bytes:
    """Bars over time by gender, a panel for each region: who went in, or began a visit; downwards who went out.

    Bars are of a minute, or of as many as keep the plot readable. Live sources have the clock of this machine's time
    zone below, recordings their minutes. Where nothing was observed the background is grey.

    Args:
        rows: as `read_counts` gives them, one or more.
        suffix: of `FORMATS`.

    Raises:
        ValueError: there are no rows, or some have a clock and others don't.
    """
    if not rows:
        raise ValueError("there are no counts to plot")
    live = {row["start"] is not None for row in rows}
    if len(live) > 1:
        raise ValueError("some counts are of live sources and others of recordings, which have no common time")
    minutes = [_minute(row) for row in rows]
    first, last = min(minutes), max(minutes)
    step = next((step for step in _STEPS if (last - first) / step <= _BARS), _STEPS[-1])
    begin = first // step * step
    panels = list(dict.fromkeys((row["source"], row["region"]) for row in rows))
    several = len({source for source, _ in panels}) > 1
    with our_style():
        figure, axes = new_figure(0.8 + 1.7 * len(panels), len(panels), sharex=True)
        for axis, panel in zip(axes, panels, strict=True):
            own = [row for row in rows if (row["source"], row["region"]) == panel]
            _draw_panel(axis, own, begin, last, step)
            axis.set_title(drawable(f"{panel[0]}: {panel[1]}" if several else panel[1], 60))
        between = next((step for step in _TICKS if (last - begin) / step <= 6), _TICKS[-1])
        shown = range(-(-begin // between) * between, last + 2, between)
        axes[-1].set_xticks([(minute - begin) / step for minute in shown])
        if live == {True}:
            clock = [_EPOCH + timedelta(minutes=minute) for minute in shown]
            days = len({time.date() for time in clock}) > 1
            axes[-1].set_xticklabels([time.strftime("%m-%d %H:%M" if days else "%H:%M") for time in clock])
            zone = _local(rows[0]["start"]).tzname()
            axes[-1].set_xlabel(f"{clock[0]:%Y-%m-%d}, {zone}; bars of {_words(step)}")
        else:
            axes[-1].set_xticklabels([str(minute) for minute in shown])
            axes[-1].set_xlabel(f"minutes of the recording; bars of {_words(step)}")
        drawn = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        shown_genders = [gender for gender in GENDER_COLOURS if gender in drawn]
        if shown_genders:
            handles = [drawn[gender] for gender in shown_genders]
            figure.legend(handles, shown_genders, loc="outside upper right", ncols=len(handles))
        return FORMATS[suffix](figure)


def _minute(row: Mapping[str, Any]) -> int:
    """Of a recording since its start; of a live source by the local clock, so that a bar of a day is one from midnight
    to midnight. When the clocks go back an hour comes twice, and its counts are added up.
    """
    if row["start"] is None:
        return int(row["minute"])
    return (_local(row["start"]).replace(tzinfo=None) - _EPOCH) // timedelta(minutes=1)


def _local(start: str) -> datetime:
    return datetime.fromisoformat(start).astimezone()


def _draw_panel(axis: Any, rows: Sequence[Mapping[str, Any]], begin: int, last: int, step: int) -> None:
    bars = (last - begin) // step + 1
    seen = {(_minute(row) - begin) // step for row in rows}
    for place in range(bars):
        if place not in seen:
            axis.axvspan(place, place + 1, color=GREY, alpha=0.2, linewidth=0)
    tallest = 0
    for kinds, sign in ((_UP, 1), (_DOWN, -1)):
        base = [0] * bars
        for gender, color in GENDER_COLOURS.items():
            counts = [0] * bars
            for row in rows:
                if row["event"] in kinds and (row["gender"] or "unknown") == gender:
                    counts[(_minute(row) - begin) // step] += row["count"]
            if any(counts):
                label = gender if gender not in axis.get_legend_handles_labels()[1] else None
                bottoms = [sign * height for height in base]
                heights = [sign * count for count in counts]
                places = [place + 0.5 for place in range(bars)]
                axis.bar(places, heights, 0.9, bottoms, color=color, label=label)
                base = [low + count for low, count in zip(base, counts, strict=True)]
        tallest = max(tallest, *base)
    lines = any(row["event"] in _DOWN for row in rows)
    axis.set_ylabel("out     in" if lines else "visits begun")
    axis.set_xlim(0, bars)
    axis.set_ylim(-1.1 * max(tallest, 1) if lines else 0, 1.1 * max(tallest, 1))
    axis.axhline(0, color="black", linewidth=0.8)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")


def _words(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if rest:
        return f"{minutes} minutes" if minutes > 1 else "a minute"
    return f"{hours} hours" if hours > 1 else "an hour"
