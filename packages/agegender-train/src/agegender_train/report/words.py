"""A report's figures in words, for a page, a card or a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Shown(NamedTuple):
    """How a figure is shown.

    Attributes:
        title: of its column.
        text: format of its value times `scale`.
        scale: 100 for shares that are shown in percent.
        unit: behind a value in a sentence.
    """

    title: str
    text: str
    scale: float
    unit: str

    def value(self, value: float | None) -> str:
        """A value of this figure, "–" for none."""
        return "–" if value is None else self.text.format(self.scale * value)

    def with_interval(self, figures: Mapping[str, Any], name: str) -> str:
        """The figure `name` with its interval, as "5.58 (5.46 to 5.70)"."""
        ends = figures.get("intervals", {}).get(name)
        if figures.get(name) is None or not ends:
            return self.value(figures.get(name))
        return f"{self.value(figures[name])} ({self.value(ends[0])} to {self.value(ends[1])})"


def _years(title: str, sign: str = "") -> Shown:
    return Shown(title, "{:" + sign + ".2f}", 1, " years")


def _share(title: str, digits: int = 1) -> Shown:
    return Shown(title, "{:." + str(digits) + "f}", 100, " points")


SHOWN = {
    "age_mae": _years("age MAE, years"),
    "age_median": _years("median error, years"),
    "age_bias": _years("bias, years", "+"),
    "cs1": _share("CS@1, %"),
    "cs3": _share("CS@3, %"),
    "cs5": _share("CS@5, %"),
    "cs10": _share("CS@10, %"),
    "middle_mae": _years("error to the group's middle, years"),
    "interval_mae": _years("error to the group, years"),
    "group_exact": _share("age group right, %"),
    "group_one_off": _share("or one off, %"),
    "gender_accuracy": _share("gender right, %", 2),
    "gender_balanced": _share("balanced, %", 2),
    "gender_auc": Shown("AUC", "{:.4f}", 1, ""),
    "gender_ece": _share("gender's calibration error, %"),
    "coverage90": _share("within the 90 % interval, %"),
    "width90": _years("its width, years"),
    "ms_per_face": Shown("ms a face", "{:.2f}", 1, " ms"),
}
"""The figures of a report in the order in which they are shown."""

OF_EXACT = ("age_mae", "age_median", "age_bias", "cs1", "cs3", "cs5", "cs10")
OF_GROUPS = ("middle_mae", "interval_mae", "group_exact", "group_one_off")


def used(results: list[dict[str, Any]]) -> list[str]:
    """The names of `SHOWN` that any of the results has."""
    names = [name for name in SHOWN if any(row.get(name) is not None for row in results)]
    if "age_mae" in names and "group_exact" not in names:
        # Of known ages, the error to the group is the MAE again.
        return [name for name in names if name not in OF_GROUPS]
    return names


def gain_sentence(first: str, second: str, figure: str, gain: Mapping[str, Any]) -> str:
    """One comparison in words.

    >>> gain_sentence("a", "b", "age_mae", {"gain": 0.312, "interval": [0.22, 0.4]})
    'a is better than b by 0.31 years (age MAE; 95 % interval 0.22 to 0.40)'
    """
    shown, value, ends = SHOWN[figure], gain["gain"], gain["interval"]
    title = shown.title.split(",")[0]
    if ends is None or ends[0] <= 0 <= ends[1]:
        between = (
            ""
            if ends is None
            else f"; 95 % interval of the difference {shown.value(ends[0])} to {shown.value(ends[1])}"
        )
        return f"{first} and {second} are not told apart ({title}{between})"
    if value < 0:
        first, second, value, ends = second, first, -value, [-ends[1], -ends[0]]
    interval = f"95 % interval {shown.value(ends[0])} to {shown.value(ends[1])}"
    return f"{first} is better than {second} by {shown.value(value)}{shown.unit} ({title}; {interval})"
