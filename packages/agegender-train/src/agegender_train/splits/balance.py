"""How alike the sides of a split are, in figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from agegender_train.splits.make import HELD_OUT, Split, side_name

BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
"""Age bands, each by the middle of the label's age interval."""


def balance(split: Split) -> list[dict[str, Any]]:
    """One mapping for each side, the folds first: what is on it.

    Returns:
        fold: its name; n: faces; groups: components; subjects: people, ``None`` where none is known; male: share of
        the known genders; age: mean of the intervals' middles in years; bands: share of each of `BANDS` among the
        known ages. ``None`` where nothing is known. A last mapping, "all", is of all sides but those held out.
    """
    people = split.table.people()
    sides = sorted(set(split.sides.tolist()), key=lambda side: (side < 0, abs(side)))
    masks = {side_name(side): split.sides == side for side in sides}
    return [
        {"fold": name, **_figures(split, np.flatnonzero(mask), people)}
        for name, mask in {**masks, "all": split.sides != HELD_OUT}.items()
    ]


def _figures(split: Split, rows: Any, people: list[tuple[str, str] | None]) -> dict[str, Any]:
    labels = split.table.labels[rows]
    gendered, age = labels.gender >= 0, labels.age[~np.isnan(labels.age)].astype(np.float64)
    counts = np.bincount(np.minimum(age // 10, len(BANDS) - 1).astype(np.int64), minlength=len(BANDS))
    known = {people[row] for row in rows} - {None}
    return {
        "n": len(rows),
        "groups": len(np.unique(split.components[rows])),
        "subjects": len(known) or None,
        "male": float((labels.gender[gendered] == 1).mean()) if gendered.any() else None,
        "age": float(age.mean()) if len(age) else None,
        "bands": dict(zip(BANDS, (counts / len(age)).tolist(), strict=True)) if len(age) else None,
    }
