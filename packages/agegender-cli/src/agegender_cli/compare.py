"""``agegender compare``: the models of several reports beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, require_train
from .options import FailUnder, Format, FormatOption
from .results import print_results, stop_if_worse

if TYPE_CHECKING:
    from agegender_train.report import Report


def compare(
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT...", help="Folders that agegender eval wrote.")],
    fail_under: FailUnder = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Compare the models of reports, on the faces that all of them predicted.

    The reports must be of the same test sets: models that were tested on different faces are not compared.

    \b
    Examples:
      agegender compare reports/before reports/after
      agegender compare reports/after --fail-under age_mae=6.0,gender_accuracy=0.93
    """
    require_train()
    from agegender_train.metrics.resampling import ROUNDS
    from agegender_train.report import parse_limits, read_report
    from agegender_train.report.results import by_test_set, compared

    limits = parse_limits(fail_under) if fail_under is not None else []
    opened = [read_report(path) for path in reports]
    _refuse_other_faces(opened)
    results = _named_apart(opened)
    named = [(row["model"], row["test_set"], report.outcomes(own, row["test_set"])) for report, own, row in results]
    comparisons = compared(by_test_set(named), ROUNDS)
    rows = [row for _, _, row in results]
    print_results(rows, comparisons, format_)
    stop_if_worse(rows, limits)


def _refuse_other_faces(reports: Sequence[Report]) -> None:
    seen: dict[str, tuple[Any, Path]] = {}
    for report in reports:
        for row in report.results:
            faces = row["fingerprint"], row["part"]
            before, where = seen.setdefault(row["test_set"], (faces, report.path))
            if before != faces:
                raise UserError(
                    f"{where} and {report.path} were made on different faces that are both called {row['test_set']}",
                    hint="test both models with one agegender eval",
                )


def _named_apart(reports: Sequence[Report]) -> list[tuple[Report, str, dict[str, Any]]]:
    """Each result with its report and the model's name there; the folder's goes with a name that two reports have."""
    owners: dict[str, set[Path]] = {}
    for report in reports:
        for row in report.results:
            owners.setdefault(row["model"], set()).add(report.path)
    return [
        (report, row["model"], {**row, "model": f"{row['model']} ({report.path.name})"})
        if len(owners[row["model"]]) > 1
        else (report, row["model"], row)
        for report in reports
        for row in report.results
    ]
