"""The figures of a model on a test set, of all faces and of parts of them, with intervals and the gaps of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_train.metrics.errors import age_groups
from agegender_train.metrics.outcomes import Outcomes, WeightedFigures
from agegender_train.metrics.resampling import LEVEL, ROUNDS, clusters_of, one_thread, resamples, spread, spreads
from agegender_train.metrics.scores import BANDS, age_bands, plain

GAPS = {"age_mae": -1, "middle_mae": -1, "group_exact": 1, "gender_accuracy": 1}
"""Figures whose gap between the best and the worst part is reported: 1 where more is better, -1 where less is."""

LEAST_FACES = 20
"""A smaller part is left out of the gaps: chance alone could make it the best or the worst."""

_TITLES = {"size": "{:.0f}", "sharpness": "{:.0f}", "score": "{:.2f}", "turn": "{:.2f}"}
_PARTS = 5
_RANKED = ("band", "group", "gender")

Mask = npt.NDArray[np.bool_]
Draws = Mapping[str, npt.NDArray[np.float64]]


def estimate(outcomes: Outcomes, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """All numbers of a report.

    Args:
        outcomes: of at least one face.
        rounds: draws of the bootstrap; 0 for no intervals.
        seed: of its random draws.

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
    with_intervals = {
        key: {**values[key], "intervals": {name: list(ends) for name, ends in spreads(draws[key]).items()}}
        for key in values
    }
    report: dict[str, Any] = {**with_intervals.pop(("", "")), "level": LEVEL, "rounds": rounds, "parts": {}, "gaps": {}}
    for (kind, name), figures in with_intervals.items():
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


def slices(outcomes: Outcomes) -> dict[str, dict[str, Mask]]:
    """Parts of the faces whose figures are worth looking at by themselves: masks by kind and by the part's name.

    Returns:
        "band": decades of age; "predicted band": decades of the predicted age, of faces whose age is known; "group":
        the dataset's word for ancestry; "gender"; "gender and band"; "box": whether the detector found the face or the
        dataset's own box was taken; and fifths of the faces by "size", "sharpness", "score" and "turn", where the
        outcomes have such a trait. A kind with only one part is left out.
    """
    labels, traits = outcomes.labels, outcomes.traits
    bands = age_bands(labels)
    genders = {"female": labels.gender == 0, "male": labels.gender == 1}
    by_band = {name: bands == number for number, name in enumerate(BANDS)}
    both = {f"{gender} {band}": of & by_band[band] for gender, of in genders.items() for band in BANDS}
    found = {
        "band": by_band,
        "predicted band": _by_predicted_band(outcomes, bands < len(BANDS)),
        "group": _by_word(labels.group),
        "gender": genders,
        "gender and band": both,
        "box": _by_word(traits["box_from"]) if "box_from" in traits else {},
        **{name: _fifths(traits[name], text) for name, text in _TITLES.items() if name in traits},
    }
    kept = {kind: {name: mask for name, mask in parts.items() if mask.any()} for kind, parts in found.items()}
    return {kind: parts for kind, parts in kept.items() if len(parts) > 1 or (kind == "band" and parts)}


def _by_predicted_band(outcomes: Outcomes, known: Mask) -> dict[str, Mask]:
    """What an interval is worth to somebody who sees the prediction alone: an interval may hold 9 of 10 people in their
    sixties, but not 9 of 10 who are said to be.
    """
    age = outcomes.prediction.age
    if age is None:
        return {}
    bands = np.clip(age // 10, 0, len(BANDS) - 1)
    return {name: known & (bands == number) for number, name in enumerate(BANDS)}


def _by_word(words: npt.NDArray[np.object_]) -> Mapping[str, Mask]:
    there = sorted({str(word) for word in words if word is not None})
    return {word: np.array([str(one) == word and one is not None for one in words], bool) for word in there}


def _fifths(values: npt.NDArray[np.floating], text: str) -> dict[str, Mask]:
    """Five parts of about equal size, from the lowest to the highest values; a missing value is in none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {}
    borders = np.unique(np.quantile(known, np.linspace(0, 1, _PARTS + 1)))
    parts = {}
    for low, high in pairwise(borders):
        last = high == borders[-1]
        parts[f"{text.format(low)} to {text.format(high)}"] = (values >= low) & (
            values <= high if last else values < high
        )
    return parts
