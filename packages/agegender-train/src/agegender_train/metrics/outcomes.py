"""What was predicted of each face beside what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Prediction
from agegender_train.labels import Labels
from agegender_train.metrics.scores import face_rows, plain
from agegender_train.metrics.weighted import WeightedFigures

Column = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The predictions of n faces, row by row with their labels: `from_batch -> merge -> compute`.

    Merging puts rows one after the other, so that any parts in any order give the figures of the whole, of medians
    and ranks, too.

    Attributes:
        labels: of the n faces.
        prediction: of the same faces.
        traits: more columns by name, (n,) each: what else is known of the faces, such as their size.
    """

    labels: Labels
    prediction: Prediction
    traits: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in [*self.prediction.__dict__.items(), *self.traits.items()]:
            if column is not None and len(column) != len(self.labels):
                raise ValueError(f"{name} must have {len(self.labels)} rows as the labels, got {len(column)}")

    @classmethod
    def from_batch(cls, prediction: Prediction, labels: Labels, traits: Mapping[str, Column] | None = None) -> Outcomes:
        """The outcomes of one batch.

        Raises:
            ValueError: the lengths differ.
        """
        return cls(labels, prediction, dict(traits or {}))

    def merge(self, *others: Outcomes) -> Outcomes:
        """The faces of all, one part after the other.

        Raises:
            ValueError: they have other columns.
        """
        parts = (self, *others)
        columns: dict[str, Any] = {
            entry.name: _joined(entry.name, [getattr(part.prediction, entry.name) for part in parts])
            for entry in fields(Prediction)
        }
        if any(part.traits.keys() != self.traits.keys() for part in parts):
            raise ValueError("parts to merge must have the same traits")
        return Outcomes(
            Labels.concatenate([part.labels for part in parts]),
            Prediction(**columns),
            {name: np.concatenate([part.traits[name] for part in parts]) for name in self.traits},
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: npt.NDArray[Any]) -> Outcomes:
        """Some of the faces: indices or a mask."""
        columns: dict[str, Any] = {
            name: None if column is None else column[rows] for name, column in self.prediction.__dict__.items()
        }
        traits = {name: column[rows] for name, column in self.traits.items()}
        return Outcomes(self.labels[rows], Prediction(**columns), traits)

    def without_probabilities(self) -> Outcomes:
        """The same without `age_probs`, which take most of the memory."""
        return replace(self, prediction=replace(self.prediction, age_probs=None))

    @property
    def interval(self) -> tuple[Column, Column] | None:
        """The ends of the interval of each age; ``None`` for a model without one."""
        low, high = self.prediction.age_low, self.prediction.age_high
        return None if low is None or high is None else (low, high)

    def rows(self) -> npt.NDArray[np.float64]:
        """What each face adds to the sums; see `face_rows`."""
        one = self.prediction
        return face_rows(one.age, one.p_male, self.labels, self.interval, one.age_probs)

    def compute(self) -> dict[str, Any]:
        """The figures of `Scores.compute` but its bands, and of `WeightedFigures`; ``None`` where there is none."""
        figures = WeightedFigures(self)(np.ones((1, len(self))))
        return plain({name: value[0] for name, value in figures.items()})


def _joined(name: str, columns: list[Column | None]) -> Column | None:
    there = [column for column in columns if column is not None]
    if not there:
        return None
    if len(there) < len(columns):
        raise ValueError(f"parts to merge must all have {name}, or none")
    return np.concatenate(there)
