"""Splits of the faces of stores: into folds, or as the dataset's authors did; and how balanced the sides are."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from agegender_train.duplicates.components import connected_components
from agegender_train.splits.assign import assign_folds
from agegender_train.store import Store
from agegender_train.store.face_table import FaceTable
from agegender_train.store.labels import AGE_BANDS, Labels

HELD_OUT = -1
"""In the sides of a split: a face that is neither trained nor validated on."""
TRAIN = -2
"""In the sides of an official split: to train on."""
VAL = -3
"""In the sides of an official split: to validate on."""
TEST = -4
"""In the sides of an official split: to test on."""
SIDES = {"held-out": HELD_OUT, "train": TRAIN, "val": VAL, "test": TEST}
"""What a split calls the rows that are in no fold, and the number that stands for each."""

By: TypeAlias = Literal["subject", "picture"]
Stratum: TypeAlias = Literal["age", "gender", "group", "dataset"]

_WORDS = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}
_FOLD = re.compile(r"fold[-_ ]?(\d{1,3})")


@dataclass(frozen=True)
class SplitSettings:
    """How to split faces.

    Attributes:
        folds: number of folds, at least 2; not used with `official`.
        by: "subject" keeps a person's pictures on one side, "picture" only the copies and the faces of one picture.
        stratify: the properties of which every fold gets its share.
        seed: of the folds.
        official: take the authors' split instead.

    Raises:
        ValueError: an attribute is out of range.
    """

    folds: int = 10
    by: By = "subject"
    stratify: tuple[Stratum, ...] = ("age", "gender")
    seed: int = 1
    official: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.folds <= 1000:
            raise ValueError(f"folds must be in 2..1000, got {self.folds}")
        if self.by not in get_args(By):
            raise ValueError(f"by must be one of {', '.join(get_args(By))}, got {self.by!r}")
        for word in self.stratify:
            if word not in get_args(Stratum):
                raise ValueError(f"stratify must be some of {', '.join(get_args(Stratum))}, got {word!r}")


@dataclass(frozen=True, eq=False)
class Split:
    """A side for each face.

    Attributes:
        table: the n faces.
        settings: how they were split.
        sides: int16 (n,), a fold from 0 on, or one of `SIDES`.
        components: int64 (n,), equal for faces that must be on one side; see `connected_components`.
        leaking: bool (n,), faces whose component is on another official side, too: an official split leaves them where
            they are, folds hold them out.
    """

    table: FaceTable
    settings: SplitSettings
    sides: npt.NDArray[np.int16]
    components: npt.NDArray[np.int64]
    leaking: npt.NDArray[np.bool_]


def side_name(side: int) -> str:
    """How a side is written: the fold's number, or a word of `SIDES`."""
    return next((word for word, number in SIDES.items() if number == side), str(side))


def official_side(word: str) -> int:
    """The side that a dataset's own word means.

    >>> official_side("fold-3"), official_side("Validation") == VAL
    (3, True)

    Raises:
        ValueError: it is none of the words that datasets use.
    """
    word = word.strip().lower()
    if match := _FOLD.fullmatch(word):
        return int(match[1])
    word = _WORDS.get(word, word)
    if word not in ("train", "val", "test"):
        raise ValueError(f"an official split must be train, val, test or fold-0, fold-1, ..., got {word!r}")
    return SIDES[word]


def make_split(table: FaceTable, copies: Iterable[tuple[int, int]], settings: SplitSettings) -> Split:
    """Splits the faces of some stores, all of them together.

    Folds consist of what may be trained on: faces that a dataset's authors keep for validation or test are held out,
    and so is every face in the same component as one of them. Official folds hold out none.

    Args:
        table: the faces.
        copies: pairs of its rows that show the same picture; see `find_copies`.
        settings: how to split.

    Raises:
        ValueError: a store has no official split though that is asked for, or there are too few faces for the folds.
    """
    same: list[Sequence[Hashable | None]] = [table.photos()]
    if settings.by == "subject":
        same.append(table.people())
    components = connected_components(len(table), same, copies)
    official = _official(table.labels, strict=settings.official)
    if settings.official:
        for index, name in enumerate(table.names):
            if not (official[table.store == index] != HELD_OUT).any():
                raise ValueError(f"the store {name} has no official split: leave out official to have folds made")
        return Split(table, settings, official, components, _parted(components, official))
    kept = (official == VAL) | (official == TEST)
    held = np.isin(components, components[kept])
    free = np.flatnonzero(~held)
    if not len(free):
        raise ValueError("no face is left for the folds: all are of official val or test splits, or there is none")
    names, kinds = face_names(table), strata(table, settings.stratify)
    sides = np.full(len(table), HELD_OUT, np.int16)
    sides[free] = assign_folds(
        [names[row] for row in free], components[free], [kinds[row] for row in free], settings.folds, settings.seed
    )
    return Split(table, settings, sides, components, held & ~kept)


def _official(labels: Labels, *, strict: bool) -> npt.NDArray[np.int16]:
    known: dict[str | None, int] = {}
    for word in sorted({word for word in labels.split if word}):
        try:
            known[word] = official_side(word)
        except ValueError:
            if strict:
                raise
    return np.array([known.get(word, HELD_OUT) for word in labels.split], np.int16)


def _parted(components: npt.NDArray[np.int64], sides: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Rows whose component is on several sides; those that are on no official side don't count."""
    on_a_side = sides != HELD_OUT
    pairs = np.unique(np.column_stack([components, sides.astype(np.int64)])[on_a_side], axis=0)
    component, count = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(on_a_side & np.isin(components, component[count > 1]), np.bool_)


def made_of(store: Store) -> str:
    """Fingerprint of a store as `preprocess` left it, without the decisions of a review."""
    return Store(store.path, store.description).fingerprint


def face_names(table: FaceTable) -> list[str]:
    """A name for each face, the same whatever else is split with it."""
    twice = len({store.name for store in table.stores}) < len(table.stores)
    own = [f"{store.name} {made_of(store)}" if twice else store.name for store in table.stores]
    return [
        f"{own[store]}/{key}#{face}"
        for store, key, face in zip(table.store, table.labels.key, table.face.tolist(), strict=True)
    ]


def strata(table: FaceTable, by: Sequence[Stratum]) -> list[tuple[str, ...]]:
    """The stratum of each face: its age group (or the decade of a known age), gender, group, dataset."""
    labels = table.labels
    columns: list[Iterable[str]] = []
    for word in by:
        if word == "age":
            low, high, exact = labels.age_low.tolist(), labels.age_high.tolist(), labels.age_is_exact.tolist()
            columns.append(
                "?" if a != a else f"{a // 10 * 10:g}s" if known else f"{a:g}-{b:g}"
                for a, b, known in zip(low, high, exact, strict=True)
            )
        elif word == "gender":
            columns.append(str(gender) for gender in labels.gender.tolist())
        elif word == "group":
            columns.append("?" if group is None else str(group) for group in labels.group)
        else:
            columns.append(table.datasets())
    return list(zip(*columns, strict=True)) if columns else [()] * len(table)


def balance(split: Split) -> list[dict[str, Any]]:
    """How balanced a split is: the figures of each side, the folds first.

    Returns:
        fold: its name; n: faces; groups: components; subjects: people, ``None`` where none is known; male: share of
        the known genders; age: mean of the intervals' middles in years; bands: share of each of `AGE_BANDS` among the
        known ages. ``None`` where nothing is known. A last mapping, "all", is of all sides except those held out.
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
    counts = np.bincount(np.minimum(age // 10, len(AGE_BANDS) - 1).astype(np.int64), minlength=len(AGE_BANDS))
    known = {people[row] for row in rows} - {None}
    return {
        "n": len(rows),
        "groups": len(np.unique(split.components[rows])),
        "subjects": len(known) or None,
        "male": float((labels.gender[gendered] == 1).mean()) if gendered.any() else None,
        "age": float(age.mean()) if len(age) else None,
        "bands": dict(zip(AGE_BANDS, (counts / len(age)).tolist(), strict=True)) if len(age) else None,
    }
