"""A report on disk."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.evaluation import Evaluation
from agegender_train.files import write_atomically
from agegender_train.metrics.resampling import ROUNDS
from agegender_train.report.page import make_page
from agegender_train.report.plots import plot_all
from agegender_train.report.reading import FORMAT
from agegender_train.report.results import by_test_set, compared, predictions_table, result_of
from agegender_train.report.sheets import face_sheets
from agegender_train.runs.folder import versions


def write_report(
    evaluations: Sequence[Evaluation], out: str | os.PathLike[str], command: str = "", faces: bool = True
) -> Path:
    """Writes a report into the folder `out`, each of its files as a whole or not at all.

    - metrics.json: "results", a mapping for each evaluation (`results.result_of`); "comparisons", for each test set of
      several models (`results.compared`); "command", "versions" and "machine";
    - predictions.parquet: one row a face and model (`results.predictions_table`);
    - report.html: all of it to look at; it stands alone, and asks the network for nothing;
    - plots/: the plots as PNG.

    Args:
        evaluations: at least one; no model twice on one test set.
        out: the folder; made if it is not there.
        command: what was asked, to be shown.
        faces: whether the page shows faces of the test sets, which not every licence allows to pass on.

    Returns:
        `out` as a path.

    Raises:
        ValueError: two models of one name on one test set.
        OSError: a file can't be written.
    """
    out = Path(out)
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
    return out
