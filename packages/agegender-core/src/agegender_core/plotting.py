"""The style of our plots: readable on a phone, in colours for the colour-blind, with reproducible bytes.

Drawing needs Matplotlib: it is the extra ``plots``, and comes with agegender-train.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

BLUE, ORANGE, VERMILLION, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#8C8C8C"
"""Of Okabe and Ito's palette (Color Universal Design, 2008)."""

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, GREY)
MARKS = ("o", "s", "^", "D", "v", "P")
"""For things to be distinguished, such as models, in their order."""

GENDER_COLOURS = {"female": VERMILLION, "male": BLUE, "unknown": GREY}
WIDTH = 5.2
"""Inches. Shown at the 360 pixels of a phone, 10 points of it are 9.6 pixels high."""
_DPI = 160
_STYLE = {
    "font.size": 10,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextmanager
def our_style() -> Iterator[None]:
    """Within it, matplotlib draws in our style, whatever the user's settings are."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(height: float, rows: int = 1, **options: Any) -> tuple[Any, list[Any]]:
    """A figure of `height` inches, and its axes from top to bottom."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, 1, squeeze=False, **options)[:, 0])


def to_png(figure: Any) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Any) -> bytes:
    """The figure as SVG; equal figures give equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "agegender"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


FORMATS: Mapping[str, Callable[[Any], bytes]] = {".png": to_png, ".svg": to_svg}
"""What writes a figure, by the suffix of its file."""


def plain_numbers(axis: Any) -> None:
    """Writes 1, 2, 5, 10, ... on an axis with a logarithmic scale, not powers of ten."""
    for set_format in (axis.set_major_formatter, axis.set_minor_formatter):
        set_format(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")


def drawable(text: str, longest: int = 40) -> str:
    """A text that the plots' font can draw: one line, boxes for what it lacks, a long one without its middle."""
    known = _characters()
    text = "".join(letter if ord(letter) in known and letter.isprintable() else "□" for letter in text)
    return shortened(text, longest)


def shortened(text: str, longest: int) -> str:
    """At most so many characters: start and end of a longer text.

    >>> shortened("part1/0001.jpg", 9)
    'part….jpg'
    """
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - half]}…{text[-half:]}"


def _characters() -> set[int]:
    from matplotlib.font_manager import findfont, get_font

    return set(get_font(findfont("DejaVu Sans")).get_charmap())
