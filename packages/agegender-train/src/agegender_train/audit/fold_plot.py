"""How alike the sides of a split are, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agegender_train.pages.drawing import BLUE, GREY, new_figure, our_style, to_png


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
            title="male (dashed: all folds)" if known else "male: no gender is told",
            ylabel="share (%)",
            ylim=(0, 100),
            xlabel="fold",
        )
        genders.set_xticks(places, names)
        for axes in (faces, genders):
            axes.grid(axis="y", alpha=0.3)
        return to_png(figure)


def _shade(part: float) -> tuple[float, float, float]:
    """From light yellow over green to dark blue, as matplotlib's viridis: told apart in grey, too."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps["viridis_r"](part)
    return red, green, blue
