"""Overlaps: faces that occur twice within or across stores, people and pictures on two sides of a split."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from agegender_train.duplicates.agreement import Label, find_conflict
from agegender_train.duplicates.copies import NEAR, Copy, find_copies
from agegender_train.files import Progress, no_progress
from agegender_train.pages.sheets import label_text
from agegender_train.splits.files import list_splits, read_split, split_path
from agegender_train.splits.make import HELD_OUT, official_side, side_name
from agegender_train.store.face_table import FaceTable

_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Sides:
    """One split of some of the faces, and what is on two of its sides.

    Attributes:
        name: what the split is called.
        stores: names of the stores that it splits.
        sides: the side of each of its faces, by the table's row.
        people: people on two or more sides, with their sides.
        pictures: one row of each picture on two or more sides, with its sides.
        copies: pairs of copies whose two faces are on different sides.
    """

    name: str
    stores: tuple[str, ...]
    sides: Mapping[int, str]
    people: dict[tuple[str, str], list[str]]
    pictures: dict[int, list[str]]
    copies: list[Copy]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is on two sides."""
        return not (self.people or self.pictures or self.copies)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """What stores have in common.

    Attributes:
        table: the faces.
        copies: pairs of copies.
        conflicts: those of the copies whose labels contradict each other, with "age", "gender" or "age and gender".
        splits: the official split and those in the stores' folders.
        notes: sentences about splits that couldn't be read.
    """

    table: FaceTable
    copies: list[Copy]
    conflicts: list[tuple[Copy, str]]
    splits: list[Sides]
    notes: list[str]

    @property
    def is_clean(self) -> bool:
        """Whether no face occurs twice, nothing is on two sides, and every split could be read."""
        return not self.copies and not self.notes and all(split.is_clean for split in self.splits)

    def between(self) -> list[dict[str, Any]]:
        """For each pair of stores, and for each with itself: numbers of equal files, look-alikes and conflicts."""
        places: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        conflicting = {copy for copy, _ in self.conflicts}
        for copy in self.copies:
            first, second = sorted((int(self.table.store[copy.first]), int(self.table.store[copy.second])))
            found = places[first, second]
            found[0 if copy.exact else 1] += 1
            found[2] += copy in conflicting
        names = self.table.names
        return [
            {
                "first": names[a],
                "second": names[b],
                "equal_files": places[a, b][0],
                "look_alike": places[a, b][1],
                "conflicting_labels": places[a, b][2],
            }
            for a, b in combinations_with_replacement(range(len(names)), 2)
        ]

    def figures(self) -> dict[str, Any]:
        """All of it, for JSON."""
        conflicts = dict(self.conflicts)
        return {
            "clean": self.is_clean,
            "between": self.between(),
            "splits": [
                {
                    "name": split.name,
                    "stores": list(split.stores),
                    "people_on_two_sides": [
                        {"dataset": dataset, "subject": subject, "sides": sides}
                        for (dataset, subject), sides in split.people.items()
                    ],
                    "pictures_on_two_sides": [
                        {**self.describe(row), "sides": sides} for row, sides in split.pictures.items()
                    ],
                    "copies_on_two_sides": len(split.copies),
                }
                for split in self.splits
            ],
            "copies": [
                {
                    "kind": "equal files" if copy.exact else "look alike",
                    "conflict": conflicts.get(copy, ""),
                    "first": self.describe(copy.first),
                    "second": self.describe(copy.second),
                }
                for copy in self.copies
            ],
            "notes": self.notes,
        }

    def describe(self, row: int) -> dict[str, Any]:
        """A face in a few words, for JSON."""
        table = self.table
        return {
            "store": table.names[table.store[row]],
            "key": str(table.labels.key[row]),
            "face": int(table.face[row]),
            "label": label_text(table.labels, row),
            "split": table.labels.split[row],
        }

    def to_csv(self) -> bytes:
        """The copies, one pair a line."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        face = ("store", "key", "face", "label", "split")
        writer.writerow(["kind", "conflict", *(f"{name}_{side}" for side in (1, 2) for name in face)])
        for pair in self.figures()["copies"]:
            both = (pair[side][name] for side in ("first", "second") for name in face)
            writer.writerow([pair["kind"], pair["conflict"], *both])
        return text.getvalue().encode()


def find_overlaps(table: FaceTable, near: int | None = NEAR, progress: Progress = no_progress) -> Overlaps:
    """What the stores of a table have in common, and what is on two sides of their splits.

    Args:
        table: the faces.
        near: see `find_copies`.
        progress: of the search for copies; see `find_copies`.
    """
    copies = find_copies(table, near, progress)
    both = ((copy, [Label.of(table.labels, row) for row in (copy.first, copy.second)]) for copy in copies)
    conflicts = [(copy, conflict) for copy, labels in both if (conflict := find_conflict(labels))]
    people, photos = table.people(), table.photos()
    splits: list[Sides] = []
    notes: list[str] = []
    for name, stores, sides in (*_official(table), *_made(table, notes)):
        pictures = _on_two_sides(photos, sides)
        first = {photo: row for row, photo in reversed(list(enumerate(photos))) if photo in pictures and row in sides}
        splits.append(
            Sides(
                name,
                stores,
                sides,
                _on_two_sides(people, sides),
                {first[photo]: found for photo, found in pictures.items()},
                [copy for copy in copies if _parted(copy, sides)],
            )
        )
    return Overlaps(table, copies, conflicts, splits, notes)


def _parted(copy: Copy, sides: Mapping[int, str]) -> bool:
    return copy.first in sides and copy.second in sides and sides[copy.first] != sides[copy.second]


def _on_two_sides(who: Sequence[Hashable | None], sides: Mapping[int, str]) -> dict[Any, list[str]]:
    found: dict[Hashable, set[str]] = defaultdict(set)
    for row, side in sides.items():
        if who[row] is not None:
            found[who[row]].add(side)
    return {value: sorted(on) for value, on in found.items() if len(on) > 1}


def _official(table: FaceTable) -> Iterator[tuple[str, tuple[str, ...], dict[int, str]]]:
    """Train, val and test of all datasets together, and the folds (or whatever words it has) of each dataset."""
    schemes: dict[str, dict[int, str]] = defaultdict(dict)
    for row, (word, dataset) in enumerate(zip(table.labels.split, table.datasets(), strict=True)):
        if word:
            try:
                side = side_name(official_side(word))
            except ValueError:
                side = str(word)
            schemes["official train, val, test" if side in _PARTS else f"official, of {dataset}"][row] = side
    for name, sides in schemes.items():
        yield name, _stores_of(table, sides), sides


def _stores_of(table: FaceTable, sides: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(table.names[index] for index in sorted({int(table.store[row]) for row in sides}))


def _made(table: FaceTable, notes: list[str]) -> Iterator[tuple[str, tuple[str, ...], dict[int, str]]]:
    """The splits in the stores' folders; those made of several stores at once are one split."""
    schemes: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for index, store in enumerate(table.stores):
        for name in list_splits(store):
            try:
                found = read_split(store, name)
                about = json.loads(split_path(store.path, name).with_suffix(".json").read_bytes())
            except (OSError, ValueError) as error:
                notes.append(str(error))
                continue
            official = bool(about["settings"]["official"])
            rows = range(table.start(index), table.start(index) + len(found))
            schemes[name, json.dumps(about["stores"])] |= {
                row: side_name(side)
                for row, side in zip(rows, found.tolist(), strict=True)
                if not (official and side == HELD_OUT)
            }
    for (name, _), sides in schemes.items():
        yield name, _stores_of(table, sides), sides
