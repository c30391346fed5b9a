"""The figures of a model on a test set, of all faces and of parts, with intervals, and the gaps between parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_train.metrics.age_groups import age_groups
from agegender_train.metrics.outcomes import Outcomes, WeightedFigures
from agegender_train.metrics.resampling import LEVEL, ROUNDS, clusters_of, one_thread, resamples, spread, spreads
from agegender_train.metrics.scores import plain
from agegender_train.metrics.slices import LEAST_FACES, slices

GAPS = {"age_mae": -1, "middle_mae": -1, "group_exact": 1, "gender_accuracy": 1}
"""Figures whose gap between the best and the worst part is told: 1 where more is better, -1 where less is."""

_RANKED = ("band", "group", "gender")

Draws = Mapping[str, npt.NDArray[np.float64]]


def estimate(outcomes: Outcomes, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """Everything that a report tells in numbers.

    Args:
        outcomes: of at least one face.
        rounds: draws of the bootstrap; 0 for no intervals.
        seed: of its chance.

    Returns:
        The figures of `WeightedFigures`; "intervals" with the 95 % interval of each; "parts": by kind and name (see
        `slices`) the same of some of the faces; "gaps": by kind and figure of `GAPS` the "best" and the "worst" part of
        20 faces or more, their "gap" and its "interval" (that of the distance between these two parts).
    """
    groups = age_groups(outcomes.labels)
    whole = WeightedFigures(outcomes, groups)
    parts = {
        (kind, name): (mask, WeightedFigures(outcomes[mask], groups, ranked=kind in _RANKED))
        for kind, masks in slices(outcomes).items()
        for name, mask in masks.items()
    }

    def at(weights: npt.NDArray[Any]) -> Iterator[tuple[tuple[str, str], Draws]]:
        yield ("", ""), whole(weights)
        for key, (mask, figures) in parts.items():
            yield key, figures(weights[:, mask])

    values = {
        key: plain({name: one[0] for name, one in found.items()}) for key, found in at(np.ones((1, len(outcomes))))
    }
    collected: dict[tuple[str, str], list[Draws]] = {key: [] for key in values}
    with one_thread():
        for weights in resamples(clusters_of(outcomes.labels), rounds, seed):
            for key, found in at(weights):
                collected[key].append(found)
    draws = {
        key: {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]} if chunks else {}
        for key, chunks in collected.items()
    }
    told = {
        key: {**values[key], "intervals": {name: list(ends) for name, ends in spreads(draws[key]).items()}}
        for key in values
    }
    report: dict[str, Any] = {**told.pop(("", "")), "level": LEVEL, "rounds": rounds, "parts": {}, "gaps": {}}
    for (kind, name), figures in told.items():
        report["parts"].setdefault(kind, {})[name] = figures
    for kind, by_name in report["parts"].items():
        gaps = {name: gap for name in GAPS if (gap := _gap(name, kind, by_name, draws)) is not None}
        if "group_exact" not in gaps and "age_mae" in gaps:
            gaps.pop("middle_mae", None)  # of known ages it is the MAE again
        if gaps:
            report["gaps"][kind] = gaps
    return report


def _gap(
    figure: str, kind: str, parts: Mapping[str, Mapping[str, Any]], draws: Mapping[tuple[str, str], Draws]
) -> dict[str, Any] | None:
    there = {
        name: float(part[figure])
        for name, part in parts.items()
        if part["n"] >= LEAST_FACES and part[figure] is not None
    }
    if len(there) < 2:
        return None
    best, worst = sorted(there, key=lambda name: -GAPS[figure] * there[name])[:: len(there) - 1]
    gap: dict[str, Any] = {"best": best, "worst": worst, "gap": abs(there[best] - there[worst]), "interval": None}
    if draws[kind, best]:
        ends = spread(GAPS[figure] * (draws[kind, best][figure] - draws[kind, worst][figure]))
        gap["interval"] = None if ends is None else list(ends)
    return gap
