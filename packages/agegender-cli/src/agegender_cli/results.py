"""What `agegender eval` and `agegender compare` print: models on test sets, and which is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from .errors import UserError
from .options import Format
from .output import message, print_figures, scalars
from .tables import cell, print_table

if TYPE_CHECKING:
    from agegender_train.report import Limit

_COLUMNS = {
    "n": ("n", "{}"),
    "age MAE": ("age_mae", "{:.2f}"),
    "median": ("age_median", "{:.2f}"),
    "bias": ("age_bias", "{:+.2f}"),
    "CS@5": ("cs5", "{:.1%}"),
    "to group": ("interval_mae", "{:.2f}"),
    "group": ("group_exact", "{:.1%}"),
    "one off": ("group_one_off", "{:.1%}"),
    "gender": ("gender_accuracy", "{:.2%}"),
    "ECE": ("gender_ece", "{:.1%}"),
    "in 90%": ("coverage90", "{:.1%}"),
    "width": ("width90", "{:.1f}"),
}
"""Name and format of the figure under each title."""


def print_results(
    results: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]], format_: Format, **more: Any
) -> None:
    """Prints the results of models on test sets, and how they compare.

    Args:
        results: one a model and test set, as in a report's metrics.json.
        comparisons: one a test set, as there.
        format_: JSON has all of it; CSV a row for each result and each of its parts.
        more: what else JSON should hold.
    """

    def table() -> None:
        _print_table(results)
        _print_comparisons(comparisons)

    document = {**more, "results": results, "comparisons": comparisons}
    print_figures(format_, document=document, rows=_rows(results), table=table)


def _rows(results: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for result in results:
        place = {"model": result["model"], "test_set": result["test_set"]}
        names = [name for name in scalars(result) if name not in ("model", "test_set", "part")]
        # `part` is the part of a store that was tested on: "subset" here, beside the parts of a result.
        yield {**place, "subset": result["part"], "kind": "all", "part": "", **{name: result[name] for name in names}}
        for kind, parts in result["parts"].items():
            for part, figures in parts.items():
                yield {**place, "subset": result["part"], "kind": kind, "part": part, **scalars(figures)}


def _print_table(results: Sequence[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        rows.append((f"{result['model']} on {result['test_set']}", result))
        rows += [(f"  {band}", figures) for band, figures in result["parts"].get("band", {}).items()]
    used = {title: how for title, how in _COLUMNS.items() if any(row.get(how[0]) is not None for _, row in rows)}
    if "group" not in used:
        used.pop("to group", None)  # of exact ages it is the MAE again
    cells = [[name, *(cell(figures.get(key), text) for key, text in used.values())] for name, figures in rows]
    print_table(["", *used], cells)


def _print_comparisons(comparisons: Sequence[dict[str, Any]]) -> None:
    from agegender_train.report.words import gain_sentence

    for comparison in comparisons:
        typer.echo(f"\nOn {comparison['n']} faces of {comparison['test_set']} that all predicted:")
        for pair in comparison["pairs"]:
            for figure in ("age_mae", "group_exact", "gender_accuracy"):
                if figure in pair["gains"]:
                    typer.echo(f"  {gain_sentence(pair['first'], pair['second'], figure, pair['gains'][figure])}")


def stop_if_worse(results: Sequence[dict[str, Any]], limits: Sequence[Limit]) -> None:
    """Ends the command with exit code 1 if a limit isn't kept; says where a figure to limit isn't known.

    Raises:
        UserError: a model has the figure on no test set: the limit would say nothing.
    """
    from agegender_train.report import broken_limits, unmeasured_limits

    left_out, useless = unmeasured_limits(results, limits)
    for sentence in left_out:
        message(f"--fail-under: {sentence}")
    broken = broken_limits(results, limits)
    for sentence in broken:
        message(f"--fail-under: {sentence}")
    if useless:
        raise UserError(f"--fail-under: {useless[0]}", hint="limit a figure that the test sets have labels for")
    if broken:
        raise typer.Exit(1)
