"""The titles, formats and sentences of a report's figures, for a page, a card or a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Shown(NamedTuple):
    """How a figure is shown.

    Attributes:
        title: of its column.
        text: format of its value, multiplied by `scale`.
        scale: 100 for shares, which are shown in percent.
        unit: appended to a value in a sentence.
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
    "interval_mae": _years("error to the age group, years"),
    "group_exact": _share("age group accuracy, %"),
    "group_one_off": _share("within one group, %"),
    "gender_accuracy": _share("gender accuracy, %", 2),
    "gender_balanced": _share("balanced gender accuracy, %", 2),
    "gender_auc": Shown("gender AUC", "{:.4f}", 1, ""),
    "gender_ece": _share("gender ECE, %"),
    "coverage90": _share("90 % interval coverage, %"),
    "width90": _years("90 % interval width, years"),
    "ms_per_face": Shown("ms per face", "{:.2f}", 1, " ms"),
}
"""The figures of a report in the order in which they are shown."""

UNTRAINED = {
    "age": "has not learned ages: there were none in its training",
    "gender": "has not learned genders: there were none in its training, or one only",
}
"""What is said of a model with an untrained head."""

OF_EXACT = ("age_mae", "age_median", "age_bias", "cs1", "cs3", "cs5", "cs10")
OF_GROUPS = ("middle_mae", "interval_mae", "group_exact", "group_one_off")


def used(results: list[dict[str, Any]]) -> list[str]:
    """The names of `SHOWN` that any of the results has."""
    names = [name for name in SHOWN if any(row.get(name) is not None for row in results)]
    if "age_mae" in names and "group_exact" not in names:
        # Of known ages, the error to the group is the MAE again.
        return [name for name in names if name not in OF_GROUPS]
    return names


def missed_shares(missed: Mapping[str, Any]) -> str:
    """The shares that count missed faces as wrong (`results.with_not_found`), as "CS@5 51.4 %, gender accuracy ...".

    >>> missed_shares({"n": 100, "cs5": 0.514})
    'CS@5 51.4 %'
    """
    return ", ".join(
        f"{SHOWN[name].title.split(',')[0]} {SHOWN[name].value(value)} %"
        for name, value in missed.items()
        if name != "n"
    )


def gap_sentence(figure: str, gap: Mapping[str, Any], by: str = "") -> str:
    """The gap between the best and the worst part as a sentence.

    >>> gap_sentence("age_mae", {"best": "20-29", "worst": "80-89", "gap": 4.21, "interval": [3.5, 5]}, " by age")
    'age MAE by age: best for 20-29, worst for 80-89, gap 4.21 years (95 % interval 3.50 to 5.00)'
    """
    shown, ends = SHOWN[figure], gap["interval"]
    interval = "" if ends is None else f" (95 % interval {shown.value(ends[0])} to {shown.value(ends[1])})"
    return (
        f"{shown.title.split(',')[0]}{by}: best for {gap['best']}, worst for {gap['worst']}, "
        f"gap {shown.value(gap['gap'])}{shown.unit}{interval}"
    )


def gain_sentence(first: str, second: str, figure: str, gain: Mapping[str, Any]) -> str:
    """One comparison as a sentence.

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
        return f"no clear difference between {first} and {second} ({title}{between})"
    if value < 0:
        first, second, value, ends = second, first, -value, [-ends[1], -ends[0]]
    interval = f"95 % interval {shown.value(ends[0])} to {shown.value(ends[1])}"
    return f"{first} is better than {second} by {shown.value(value)}{shown.unit} ({title}; {interval})"
