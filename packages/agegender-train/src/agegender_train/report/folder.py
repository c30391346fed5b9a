"""A report as a folder on disk: written as metrics.json, predictions.parquet, report.html and plots, and read back."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agegender_train.evaluation import Evaluation
from agegender_train.files import write_atomically
from agegender_train.metrics import Outcomes
from agegender_train.metrics.resampling import ROUNDS
from agegender_train.report.page import face_sheets, make_page
from agegender_train.report.plots import plot_all
from agegender_train.report.results import by_test_set, compared, outcomes_of, predictions_table, result_of
from agegender_train.runs.folder import versions

FORMAT = 2


_FILES = ("metrics.json", "predictions.parquet", "report.html")


def refuse_earlier_report(out: str | os.PathLike[str], replace: bool = False) -> None:
    """Refuses a folder with a report, or with files of the same names, unless it is to be replaced.

    Raises:
        FileExistsError: the message names the folder and what is there.
    """
    out = Path(out)
    there = [name for name in (*_FILES, "plots") if os.path.lexists(out / name)]
    if there and not replace:
        error = FileExistsError(f"{out} already holds a report ({', '.join(there)})")
        error.add_note("name another folder, or replace it, plots and all, with --replace")
        raise error


def write_report(
    evaluations: Sequence[Evaluation],
    out: str | os.PathLike[str],
    command: str = "",
    faces: bool = True,
    *,
    replace: bool = False,
) -> Path:
    """Writes a report into the folder `out`, each of its files as a whole or not at all.

    - metrics.json: "results", a mapping for each evaluation (`results.result_of`); "comparisons", for each test set of
      several models (`results.compared`); "command", "versions" and "machine";
    - predictions.parquet: one row for each face and model (`results.predictions_table`);
    - report.html: a page with all of it, in one file that loads nothing from elsewhere;
    - plots/: the plots as PNG.

    Args:
        evaluations: at least one; no model twice on one test set.
        out: the folder; created if it is missing.
        command: the command that made the report, to be shown.
        faces: whether the page shows faces of the test sets; not every licence allows that.
        replace: a report that is there already; its plots that the new one doesn't have are removed.

    Returns:
        `out` as a path.

    Raises:
        ValueError: two models have the same name on one test set.
        FileExistsError: `out` holds a report that isn't to be replaced.
        OSError: a file can't be written.
    """
    out = Path(out)
    refuse_earlier_report(out, replace)
    named = [(one.model, one.test_set, one.outcomes.without_probabilities()) for one in evaluations]
    grouped = by_test_set(named)
    report: dict[str, Any] = {
        "format": FORMAT,
        "command": command,
        "versions": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count()},
        "results": [result_of(evaluation) for evaluation in evaluations],
        "comparisons": compared(grouped, min((one.rounds for one in evaluations), default=ROUNDS)),
    }
    plots = plot_all(report["results"], grouped)
    (out / "plots").mkdir(parents=True, exist_ok=True)
    write_atomically(out / "metrics.json", json.dumps(report, ensure_ascii=False, allow_nan=False).encode())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables([predictions_table(one) for one in evaluations], promote_options="default"), sink)
    write_atomically(out / "predictions.parquet", sink.getvalue().to_pybytes())
    for name, content in plots.items():
        write_atomically(out / "plots" / name, content)
    write_atomically(out / "report.html", make_page(report, plots, face_sheets(evaluations) if faces else []))
    for old in (out / "plots").glob("*.png"):
        if old.name not in plots:
            old.unlink()
    return out


@dataclass(frozen=True, eq=False)
class Report:
    """A report that `write_report` wrote.

    Attributes:
        path: the folder.
        results: a mapping for each model on each test set; see `results.result_of`.
        comparisons: see `results.compared`.
        about: the rest of metrics.json: "command", "versions", "machine".
    """

    path: Path
    results: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    about: dict[str, Any]

    def outcomes(self, model: str, test_set: str) -> Outcomes:
        """The predictions of one model on one test set.

        Raises:
            OSError: predictions.parquet can't be read.
            ValueError: the file is damaged, or has no such rows.
        """
        file = self.path / "predictions.parquet"
        try:
            table = pq.read_table(file)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{file} is damaged: {error}") from None
        rows = pc.and_(pc.equal(table["model"], model), pc.equal(table["test_set"], test_set))
        table = table.filter(rows)
        if not table.num_rows:
            raise ValueError(f"{file} has no predictions of {model} on {test_set}")
        return outcomes_of(table)


def read_report(path: str | os.PathLike[str]) -> Report:
    """The report in the folder `path`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another version of the format.
    """
    path = Path(path)
    file = path / "metrics.json"
    if not file.exists():
        raise FileNotFoundError(f"{path} holds no report (no metrics.json); make one with: agegender eval")
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"it has format {content['format']}, this version reads format {FORMAT}")
        about = {name: content[name] for name in ("command", "versions", "machine")}
        return Report(path, list(content["results"]), list(content["comparisons"]), about)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is no report of agegender eval: {error}") from None
