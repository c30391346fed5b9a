"""Contact sheets of a report: the faces that a model is furthest off at, and some as they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from agegender_train.evaluation import Evaluation
from agegender_train.pages.sheets import Cell, Sheet, label_text, sample, thumbnail
from agegender_train.store.labels import Labels

SHOWN = 50
"""Faces of a sheet."""

_SIDE = 64
_SIDE_OF_MANY = 48
_MANY = 12


def face_sheets(evaluations: Sequence[Evaluation]) -> list[tuple[str, Sheet]]:
    """For each evaluation a title and the 50 worst faces, and for each test set 50 faces by lot.

    Captions give the label and what the model says: "34 f → 29 m".
    """
    side = _SIDE if len(evaluations) <= _MANY else _SIDE_OF_MANY
    sheets: list[tuple[str, Sheet]] = []
    seen: set[str] = set()
    for evaluation in evaluations:
        where = f"{evaluation.model} on {evaluation.test_set}"
        error = age_error(evaluation)
        worst = [row for row in np.argsort(-error, kind="stable")[:SHOWN] if error[row] > 0]
        if worst:
            sheets.append((f"Worst ages of {where}", _sheet(evaluation, worst, side)))
        if evaluation.test_set not in seen:
            seen.add(evaluation.test_set)
            drawn = sample(list(evaluation.labels.key), SHOWN)
            sheets.append((f"By lot, as {where}", _sheet(evaluation, drawn, side)))
    return sheets


def age_error(evaluation: Evaluation) -> npt.NDArray[np.float64]:
    """Years from the predicted age to the label's interval, float64 (n,); 0 without a label."""
    low, high, age = (
        column.astype(np.float64) for column in (evaluation.labels.age_low, evaluation.labels.age_high, evaluation.age)
    )
    return np.asarray(np.nan_to_num(np.maximum(np.maximum(low - age, age - high), 0)))


def _sheet(evaluation: Evaluation, places: Iterable[int], side: int) -> Sheet:
    places = [int(place) for place in places]
    chips = evaluation.store.decode(evaluation.rows[places])
    labels = evaluation.labels
    cells = [
        Cell((thumbnail(str(labels.key[place]), chip, side),), _caption(evaluation, labels, place), True)
        for place, chip in zip(places, chips, strict=True)
    ]
    return Sheet("", cells, len(labels), len(labels))


def _caption(evaluation: Evaluation, labels: Labels, place: int) -> str:
    said = "m" if evaluation.p_male[place] >= 0.5 else "f"
    return f"{label_text(labels, place)} → {evaluation.age[place]:.0f} {said}"
