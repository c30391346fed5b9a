"""The predictions of faces with their labels, and the figures of faces that are weighted (for the bootstrap)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Prediction
from agegender_train.metrics.errors import age_error, age_groups, nearest_group
from agegender_train.metrics.scores import face_rows, figures_of, judged, plain
from agegender_train.store.labels import Labels

Column = npt.NDArray[Any]
Weights = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The predictions of n faces, row by row with their labels: `from_batch -> merge -> compute`.

    Merging concatenates rows, so that any parts in any order give the figures of the whole, medians and ranks included.

    Attributes:
        labels: of the n faces.
        prediction: of the same faces.
        traits: more columns of the faces by name, (n,) each, such as their size.
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
        """The faces of all parts, one part after the other.

        Raises:
            ValueError: the parts differ in their columns.
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

    def rows(self) -> npt.NDArray[np.float64]:
        """What each face adds to the sums; see `face_rows`."""
        return face_rows(self.prediction, self.labels)

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


class WeightedFigures:
    """Callable with how often each face counts, float (rounds, n); gives figures by name, float64 (rounds,) each.

    Beside those of `Scores.compute`:

    - age_median: the median of the absolute errors of known ages, years;
    - group_exact, group_one_off: of faces with an age group, the share whose predicted age is nearest to that group,
      and to it or to one of its neighbours;
    - gender_auc: the area under the ROC curve of the probability of male: how often, of a man and a woman, the man has
      the higher one (ties count half).

    Args:
        outcomes: of n faces.
        groups: the age groups of the whole data; those of `outcomes` when ``None``.
        ranked: whether to give age_median and gender_auc, which take most of the time.
    """

    def __init__(
        self, outcomes: Outcomes, groups: list[tuple[float, float]] | None = None, ranked: bool = True
    ) -> None:
        self._rows, self._ranked = outcomes.rows(), ranked
        groups = age_groups(outcomes.labels) if groups is None else groups
        age, p_male, labels = judged(outcomes.prediction, outcomes.labels)
        exact = np.flatnonzero(labels.age_is_exact)
        error = age_error(labels, age)[exact]
        order = np.argsort(error, kind="stable")
        self._exact, self._error = exact[order], error[order]
        self._gender = _Ranks(p_male, labels.gender)
        self._grouped = np.flatnonzero(~labels.age_is_exact & ~np.isnan(labels.age_low)) if groups else exact[:0]
        steps = np.zeros(0, np.int64)
        if groups:
            predicted, labelled = (nearest_group(ages[self._grouped], groups) for ages in (age, labels.age))
            steps = np.abs(predicted - labelled)
        self._near = np.column_stack([np.ones(len(steps)), steps == 0, steps <= 1])

    def __call__(self, weights: Weights) -> dict[str, npt.NDArray[np.float64]]:
        """See the class."""
        near = weights[:, self._grouped] @ self._near
        shares = np.divide(near[:, 1:], near[:, :1], out=np.full((len(near), 2), np.nan), where=near[:, :1] > 0)
        figures = {**figures_of(weights @ self._rows), "group_exact": shares[:, 0], "group_one_off": shares[:, 1]}
        if self._ranked:
            figures["age_median"] = weighted_median(self._error, weights[:, self._exact])
            figures["gender_auc"] = self._gender.area(weights)
        return figures


def weighted_median(values: npt.NDArray[np.float64], weights: Weights) -> npt.NDArray[np.float64]:
    """The median of `values`, float64 (n,) rising, each of which counts `weights` times, float (rounds, n).

    The mean of the middle two where the weights fall into halves, as of repeated values. NaN where nothing counts.
    """
    if not len(values):
        return np.full(len(weights), np.nan)
    total = np.cumsum(weights, axis=1, dtype=np.float64)
    half = total[:, -1:] / 2
    lower, upper = (total < half).sum(axis=1), (total <= half).sum(axis=1)
    middle = (values[np.minimum(lower, len(values) - 1)] + values[np.minimum(upper, len(values) - 1)]) / 2
    return np.where(half[:, 0] > 0, middle, np.nan)


class _Ranks:
    """The order of faces by their probability of male."""

    def __init__(self, p_male: npt.NDArray[np.float64], gender: npt.NDArray[np.int8]) -> None:
        known = np.flatnonzero(gender >= 0)
        self._order = known[np.argsort(p_male[known], kind="stable")]
        rising = p_male[self._order]
        self._starts = np.flatnonzero(np.r_[True, rising[1:] > rising[:-1]]) if len(rising) else np.zeros(0, np.int64)
        self._male = gender[self._order] == 1

    def area(self, weights: Weights) -> npt.NDArray[np.float64]:
        if not len(self._order):
            return np.full(len(weights), np.nan)
        counts = weights[:, self._order]
        men = counts * self._male
        women = counts - men
        if len(self._starts) < len(self._order):
            men, women = (np.add.reduceat(side, self._starts, axis=1) for side in (men, women))
        below = np.cumsum(women, axis=1) - women / 2
        pairs = men.sum(axis=1) * women.sum(axis=1)
        won = (men * below).sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))
