"""A report, read back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agegender_train.metrics import Outcomes
from agegender_train.report.results import outcomes_of

FORMAT = 2


@dataclass(frozen=True, eq=False)
class Report:
    """What `write_report` wrote.

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
            ValueError: it is damaged, or has no such rows.
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
        ValueError: it is damaged, or of another format.
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
