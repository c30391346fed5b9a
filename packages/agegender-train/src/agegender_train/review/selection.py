"""Which faces of a store to look at, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from agegender_train.store.labels import GENDER_MISSING, Labels, parse_age_group

STATES = ("undecided", "accepted", "rejected", "corrected")
"""The names of a face's states; a state's number is its place in this list."""

ORDERS = ("store", "age", "age-error", "gender-error")
GENDERS = {"m": 1, "f": 0, "missing": GENDER_MISSING}


@dataclass(frozen=True)
class Selection:
    """Which faces the page shows. An empty text stands for all.

    The labels that it is about are those of the store, not the corrected ones: a face that was corrected stays where
    it was.

    Attributes:
        ages: "0-20", "35", or "missing". A face belongs to it by the middle of its age interval.
        gender: "m", "f" or "missing".
        dataset: value of the column dataset.
        group: value of the column group.
        state: one of `STATES`.
        order: one of `ORDERS`: as in the store; youngest first; farthest from the model's age or gender first.

    Raises:
        ValueError: a value is none of these.
    """

    ages: str = ""
    gender: str = ""
    dataset: str = ""
    group: str = ""
    state: str = ""
    order: str = "store"

    def __post_init__(self) -> None:
        self.age_range()
        for name, values in (("gender", tuple(GENDERS)), ("state", STATES)):
            if getattr(self, name) not in ("", *values):
                raise ValueError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")
        if self.order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {self.order!r}")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Selection:
        """From the parts of an address with known names; others are ignored."""
        return cls(**{field.name: query[field.name] for field in fields(cls) if query.get(field.name)})

    def to_query(self) -> str:
        """The part of an address, with its question mark, that `from_query` reads; empty for all faces."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        query = urlencode({name: value for name, value in parts.items() if value not in ("", "store")})
        return f"?{query}" if query else ""

    def age_range(self) -> tuple[float, float] | None:
        """`ages` in years; ``None`` for all and for "missing"."""
        if self.ages in ("", "missing"):
            return None
        found = parse_age_group(self.ages)
        if found is None:
            raise ValueError(f'ages must look like "0-20", "35" or "missing", got {self.ages!r}')
        return found

    def rows(
        self,
        labels: Labels,
        datasets: npt.NDArray[np.object_],
        states: npt.NDArray[np.uint8],
        errors: Mapping[str, npt.NDArray[np.float64]],
    ) -> npt.NDArray[np.int32]:
        """The rows to show, in their order.

        Args:
            labels: of all n faces, as the store has them.
            datasets: object (n,).
            states: uint8 (n,), places in `STATES`.
            errors: by the orders that need it, float64 (n,): how far the label is from the model, NaN where it is
                missing. Without it the order is that of the store.
        """
        chosen = np.ones(len(labels), bool)
        if self.ages == "missing":
            chosen &= np.isnan(labels.age)
        elif (ages := self.age_range()) is not None:
            chosen &= (labels.age >= ages[0]) & (labels.age <= ages[1])
        if self.gender:
            chosen &= labels.gender == GENDERS[self.gender]
        if self.dataset:
            chosen &= datasets == self.dataset
        if self.group:
            chosen &= labels.group == self.group
        if self.state:
            chosen &= states == STATES.index(self.state)
        rows = np.flatnonzero(chosen).astype(np.int32)
        by = labels.age if self.order == "age" else -errors[self.order] if self.order in errors else None
        return rows if by is None else rows[np.argsort(by[rows], kind="stable")]
