"""Decisions of a review applied to the rows of a store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from agegender_train.store.decisions import Decision
from agegender_train.store.faces import FACE_COLUMNS


def find_rows(names: pa.Table, faces: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The rows of some faces, ascending; a face that doesn't exist has none.

    Args:
        names: the columns key and face of all rows.
        faces: pairs of key and face.
    """
    keys = pa.array(sorted({key for key, _ in faces}), pa.string())
    candidates = np.flatnonzero(pc.is_in(names["key"], keys).to_numpy())
    picked = names.take(candidates).to_pydict()
    found = zip(picked["key"], (face or 0 for face in picked["face"]), strict=True)
    return {face: row for face, row in zip(found, candidates.tolist(), strict=True) if face in faces}


@dataclass(frozen=True, eq=False)
class Changes:
    """What a review changes in a store, by the rows of its shards.

    Attributes:
        rejected: int64 (r,), ascending: rows to exclude.
        corrected: int64 (c,), ascending: rows to keep with another label or face.
        corrections: the c decisions with those labels.
        faces: for each of them whose face is replaced, by its row, the new one: one row of `FACE_COLUMNS`.
    """

    rejected: npt.NDArray[np.int64]
    corrected: npt.NDArray[np.int64]
    corrections: list[Decision]
    faces: Mapping[int, pa.Table]

    @classmethod
    def none(cls) -> Changes:
        """No changes."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), [], {})

    @classmethod
    def of(
        cls,
        names: pa.Table,
        decisions: Mapping[tuple[str, int], Decision],
        read_face: Callable[[Decision], pa.Table],
    ) -> Changes:
        """Decisions by key and face; those on faces that the store doesn't have are ignored.

        Args:
            names: the columns key and face of all rows.
            decisions: see `agegender_train.store.in_force`.
            read_face: gives the face of a decision with a box.

        Raises:
            OSError: such a face is missing.
        """
        rows = find_rows(names, decisions)
        found = [(row, decisions[face]) for face, row in rows.items()]
        rejected = [row for row, decision in found if decision.action == "reject"]
        corrected = [(row, decision) for row, decision in found if decision.action == "correct"]
        return cls(
            np.array(rejected, np.int64),
            np.array([row for row, _ in corrected], np.int64),
            [decision for _, decision in corrected],
            {row: read_face(decision) for row, decision in corrected if decision.box is not None},
        )

    def apply(self, table: pa.Table) -> pa.Table:
        """A table of all rows, with any columns, as the review left it."""
        for name in {"age_low", "age_high", "gender"}.intersection(table.column_names if self.corrections else ()):
            values = [getattr(decision, name) for decision in self.corrections]
            changed = [row for row, value in zip(self.corrected.tolist(), values, strict=True) if value is not None]
            mask = np.zeros(len(table), bool)
            mask[changed] = True
            field = table.schema.field(name)
            replacements = pa.array([value for value in values if value is not None], field.type)
            column = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), replacements)
            table = table.set_column(table.schema.get_field_index(name), field, column)
        if names := [name for name in FACE_COLUMNS if self.faces and name in table.column_names]:
            places = np.arange(len(table))
            places[list(self.faces)] = len(table) + np.arange(len(self.faces))
            faces = pa.concat_tables([table.select(names), *(face.select(names) for face in self.faces.values())])
            faces = faces.take(pa.array(places))
            for name in names:
                table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), faces[name])
        if len(self.rejected):
            keep = np.ones(len(table), bool)
            keep[self.rejected] = False
            table = table.filter(pa.array(keep))
        return table

    def described(self) -> list[str]:
        """A line for each change, equal for equal changes."""
        rejected = [f"{row} rejected" for row in self.rejected.tolist()]
        pairs = zip(self.corrected.tolist(), self.corrections, strict=True)
        return rejected + [
            f"{row} corrected {_years(decision.age_low)} {_years(decision.age_high)} {decision.gender}"
            + ("" if decision.box is None else f" box {decision.box} {self.faces[row]['phash'][0]}")
            for row, decision in pairs
        ]


def _years(value: float | None) -> float | None:
    return None if value is None else float(value)
