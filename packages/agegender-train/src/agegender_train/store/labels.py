"""Labels of faces: age interval, gender, ancestry, person, official split and picture, as columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_AGE = 100
"""Years. The oldest age that the networks tell apart; an open group such as "more than 70" ends here."""

GENDER_MISSING = -1

AGE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
"""Bands of years for tables and plots; a face is counted by the middle of its age interval."""

_DTYPES: dict[str, npt.DTypeLike] = {"age_low": np.float32, "age_high": np.float32, "gender": np.int8}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
# A comma stands between two ages in brackets only: elsewhere "3,5" may well be three and a half years.
_RANGE = re.compile(rf"{_NUMBER}\s*(?:-|–|to)\s*{_NUMBER}")
_BRACKETS = re.compile(rf"[(\[]\s*{_NUMBER}\s*(?:-|–|,|to)\s*{_NUMBER}\s*[)\]]")
_OPEN = re.compile(rf"(?:more than|over|above|>=?|≥)\s*{_NUMBER}|{_NUMBER}\s*(?:\+|and over|or more|years and over)")
_SINGLE = re.compile(_NUMBER)
_NO_AGE = ("", "none", "nan", "null", "na", "n/a", "unknown")


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of n faces as a struct of arrays: row i of every column is the same face.

    Attributes:
        age_low: float32 (n,), youngest possible age in years; NaN when the age is missing.
        age_high: float32 (n,), oldest possible age in years, equal to `age_low` when the age is known exactly.
        gender: int8 (n,), 1 male, 0 female, -1 missing.
        group: object (n,), the dataset's own word for ancestry, or ``None``.
        subject: object (n,), who it is, the same in all pictures of one person, or ``None``.
        split: object (n,), the dataset's official split ("train", "val", ...), or ``None``.
        key: object (n,), path of the picture in its source.

    Raises:
        ValueError: a column's dtype or length is not as above, or an age interval is upside down.
    """

    age_low: npt.NDArray[np.float32]
    age_high: npt.NDArray[np.float32]
    gender: npt.NDArray[np.int8]
    group: npt.NDArray[np.object_]
    subject: npt.NDArray[np.object_]
    split: npt.NDArray[np.object_]
    key: npt.NDArray[np.object_]

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            expected = np.dtype(_DTYPES.get(field.name, np.object_))
            if column.dtype != expected:
                raise ValueError(f"Labels.{field.name} must be an array of {expected}, got {column.dtype}")
            if column.shape != self.age_low.shape or column.ndim != 1:
                raise ValueError(f"Labels.{field.name} must have shape {self.age_low.shape}, got {column.shape}")
        if np.any(self.age_low > self.age_high) or np.any(np.isnan(self.age_low) != np.isnan(self.age_high)):
            raise ValueError("Labels.age_low must not be above Labels.age_high, and both or none are NaN")

    @classmethod
    def from_columns(cls, **columns: Sequence[Any]) -> Labels:
        """Labels of plain sequences in which ``None`` stands for missing; names are those of the attributes."""
        age_low, age_high = (
            np.array([np.nan if value is None else value for value in columns[name]], np.float32)
            for name in ("age_low", "age_high")
        )
        gender = np.array([GENDER_MISSING if value is None else value for value in columns["gender"]], np.int8)
        return cls(
            age_low, age_high, gender, *(_objects(columns[name]) for name in ("group", "subject", "split", "key"))
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Labels]) -> Labels:
        """The rows of all `parts`, one after the other."""
        if not parts:
            return cls.from_columns(**{field.name: [] for field in fields(cls)})
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.age_low)

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[Any]) -> Labels:
        """The labels of `rows`: a slice, indices or a mask."""
        return Labels(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def age(self) -> npt.NDArray[np.float32]:
        """float32 (n,): the middle of each age interval in years, NaN when missing."""
        return (self.age_low + self.age_high) / np.float32(2)

    @property
    def age_is_exact(self) -> npt.NDArray[np.bool_]:
        """bool (n,): true where one age is given and no group of ages."""
        return np.asarray(self.age_low == self.age_high, np.bool_)


def faces_per_year(labels: Labels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Faces by year of age, 0 to 100: those of known age, and those of an age group, spread evenly over its years.

    Returns:
        Two float64 (101,).
    """
    exact, spread = np.zeros(MAX_AGE + 1), np.zeros(MAX_AGE + 1)
    known = ~np.isnan(labels.age_low)
    years = np.clip(np.column_stack([labels.age_low, labels.age_high])[known], 0, MAX_AGE).astype(np.int64)
    is_exact = labels.age_is_exact[known]
    np.add.at(exact, years[is_exact, 0], 1)
    groups, counts = np.unique(years[~is_exact], axis=0, return_counts=True)
    for (low, high), count in zip(groups, counts, strict=True):
        spread[low : high + 1] += count / (high - low + 1)
    return exact, spread


def _objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    column = np.empty(len(values), np.object_)
    column[:] = values
    return column


def parse_age_group(text: str) -> tuple[float, float] | None:
    """The youngest and the oldest age, in years, of an age group as datasets write it; ``None`` for no age.

    >>> parse_age_group("3-9"), parse_age_group("(25, 32)"), parse_age_group("more than 70"), parse_age_group("35")
    ((3.0, 9.0), (25.0, 32.0), (70.0, 100.0), (35.0, 35.0))

    Raises:
        ValueError: `text` is none of these, or the group is upside down.
    """
    text = text.strip().lower()
    if text in _NO_AGE:
        return None
    if match := _RANGE.fullmatch(text) or _BRACKETS.fullmatch(text):
        low, high = float(match[1]), float(match[2])
    elif match := _OPEN.fullmatch(text):
        low, high = float(match[1] or match[2]), float(MAX_AGE)
    elif match := _SINGLE.fullmatch(text):
        low = high = float(match[0])
    else:
        raise ValueError(f'an age must look like "35", "3-9", "(25, 32)" or "more than 70", got {text!r}')
    if low > high:
        raise ValueError(f"an age group must not end before it starts, got {text!r}")
    return low, high
