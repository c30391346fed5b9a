"""Parts of the faces whose figures are worth looking at by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from agegender_train.metrics.outcomes import Outcomes
from agegender_train.metrics.scores import BANDS, age_bands

Mask = npt.NDArray[np.bool_]

LEAST_FACES = 20
"""A part with fewer faces has no place in a gap between best and worst: chance alone would make it either."""

_TITLES = {"size": "{:.0f}", "sharpness": "{:.0f}", "score": "{:.2f}", "turn": "{:.2f}"}
_PARTS = 5


def slices(outcomes: Outcomes) -> dict[str, dict[str, Mask]]:
    """Masks over the faces by what they are parts of, and by the part's name.

    Returns:
        "band": decades of age; "group": the dataset's word for ancestry; "gender"; "gender and band"; "box": whether
        the detector found the face or the dataset's own box was taken; and fifths of the faces by "size", "sharpness",
        "score" and "turn", where the outcomes have such a trait. What is the same for all faces is left out.
    """
    labels, traits = outcomes.labels, outcomes.traits
    bands = age_bands(labels)
    genders = {"female": labels.gender == 0, "male": labels.gender == 1}
    by_band = {name: bands == number for number, name in enumerate(BANDS)}
    both = {f"{gender} {band}": of & by_band[band] for gender, of in genders.items() for band in BANDS}
    found = {
        "band": by_band,
        "group": _by_word(labels.group),
        "gender": genders,
        "gender and band": both,
        "box": _by_word(traits["box_from"]) if "box_from" in traits else {},
        **{name: _fifths(traits[name], text) for name, text in _TITLES.items() if name in traits},
    }
    kept = {kind: {name: mask for name, mask in parts.items() if mask.any()} for kind, parts in found.items()}
    return {kind: parts for kind, parts in kept.items() if len(parts) > 1 or (kind == "band" and parts)}


def _by_word(words: npt.NDArray[np.object_]) -> Mapping[str, Mask]:
    there = sorted({str(word) for word in words if word is not None})
    return {word: np.array([str(one) == word and one is not None for one in words], bool) for word in there}


def _fifths(values: npt.NDArray[np.floating], text: str) -> dict[str, Mask]:
    """Five parts of about as many faces, from the least to the most; a missing value is in none."""
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
