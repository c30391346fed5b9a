"""Whether one model is better than another: the paired bootstrap on the same faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agegender_train.metrics.errors import age_groups
from agegender_train.metrics.outcomes import Outcomes, WeightedFigures
from agegender_train.metrics.resampling import ROUNDS, clusters_of, one_thread, resamples, spread

BETTER = {
    "age_mae": -1, "age_median": -1, "cs5": 1, "interval_mae": -1, "group_exact": 1, "group_one_off": 1,
    "gender_accuracy": 1, "gender_balanced": 1, "gender_auc": 1,
}  # fmt: skip
"""Figures that models are compared by: 1 where more is better, -1 where less is."""


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another in one figure.

    Attributes:
        figure: its name.
        first: of the first model.
        second: of the second model.
        gain: how much better the first is; negative where it is worse.
        interval: the 95 % interval of the gain, from the same draws for both; ``None`` without draws.
        n: faces that both predicted.
    """

    figure: str
    first: float
    second: float
    gain: float
    interval: tuple[float, float] | None
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True)
class Comparison:
    """Several models on the same faces.

    Attributes:
        n: faces that all of them predicted.
        figures: by model and name of `BETTER`; NaN where a model has none.
        draws: the same of each draw of the bootstrap, float64 (rounds,).
    """

    n: int
    figures: dict[str, dict[str, float]]
    draws: dict[str, dict[str, npt.NDArray[np.float64]]]

    def between(self, first: str, second: str) -> dict[str, Difference]:
        """How much better the model `first` is than `second`, by figure, as far as both have it."""
        found = {}
        for name, sign in BETTER.items():
            ours, theirs = self.figures[first][name], self.figures[second][name]
            if np.isnan(ours) or np.isnan(theirs):
                continue
            interval = spread(sign * (self.draws[first][name] - self.draws[second][name]))
            found[name] = Difference(name, ours, theirs, sign * (ours - theirs), interval, self.n)
        return found

    def ranks(self, figure: str) -> list[tuple[str, int]]:
        """The models from the best to the worst in a figure, each with its rank; those without it are left out.

        A model shares the rank of the one before it where the interval of their difference contains zero.
        """
        sign = BETTER[figure]
        there = {model: one[figure] for model, one in self.figures.items() if not np.isnan(one[figure])}
        ranked: list[tuple[str, int]] = []
        for place, model in enumerate(sorted(there, key=lambda model: -sign * there[model]), start=1):
            rank = place
            if ranked and not self.between(ranked[-1][0], model)[figure].is_clear:
                rank = ranked[-1][1]
            ranked.append((model, rank))
        return ranked


def compare(models: Mapping[str, Outcomes], rounds: int = ROUNDS, seed: int = 0) -> Comparison:
    """The paired bootstrap of models' figures, on the faces that all of them predicted.

    All models get the same draws of faces, so that what is hard for all cancels out of their differences.

    Args:
        models: outcomes by the model's name, of one test set.
        rounds: draws.
        seed: of the random draws.

    Raises:
        ValueError: there is no face that all of them predicted.
    """
    faces = [_names(outcomes) for outcomes in models.values()]
    common = set.intersection(*(set(names) for names in faces)) if faces else set()
    if not common:
        raise ValueError("models can only be compared on the same faces, and these have none in common")
    order = [name for name in faces[0] if name in common]
    same = {}
    for (model, outcomes), names in zip(models.items(), faces, strict=True):
        where = {name: row for row, name in enumerate(names)}
        same[model] = outcomes[np.array([where[name] for name in order])]
    labels = next(iter(same.values())).labels
    figures = {model: WeightedFigures(outcomes, age_groups(labels)) for model, outcomes in same.items()}
    now = {model: one(np.ones((1, len(order)))) for model, one in figures.items()}
    drawn: dict[str, list[Mapping[str, npt.NDArray[np.float64]]]] = {model: [] for model in models}
    with one_thread():
        for weights in resamples(clusters_of(labels), rounds, seed):
            for model, one in figures.items():
                drawn[model].append(one(weights))
    nothing = np.zeros(0)
    return Comparison(
        len(order),
        {model: {name: float(found[name][0]) for name in BETTER} for model, found in now.items()},
        {
            model: {name: np.concatenate([nothing, *(chunk[name] for chunk in chunks)]) for name in BETTER}
            for model, chunks in drawn.items()
        },
    )


def _names(outcomes: Outcomes) -> list[tuple[str, int]]:
    faces = outcomes.traits.get("face", np.zeros(len(outcomes), np.int64))
    return [(str(key), int(face)) for key, face in zip(outcomes.labels.key, faces, strict=True)]
