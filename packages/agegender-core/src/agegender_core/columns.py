"""What of `Faces` is read where faces are only looked at: drawings, records, tables."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class FaceColumns(Protocol):
    """The columns of `Faces`, which says what they are.

    Drawings and tables ask for no more than these, so that `Faces` can offer both without a circle of imports.
    """

    @property
    def xyxy(self) -> Floats:
        """float32 (n, 4), pixels."""

    @property
    def score(self) -> Floats | None:
        """float32 (n,)."""

    @property
    def landmarks(self) -> Floats | None:
        """float32 (n, 5, 2), pixels."""

    @property
    def chips(self) -> npt.NDArray[np.uint8] | None:
        """uint8 (n, S, S, 3), RGB."""

    @property
    def age(self) -> Floats | None:
        """float32 (n,), years."""

    @property
    def age_std(self) -> Floats | None:
        """float32 (n,), years."""

    @property
    def age_interval(self) -> Floats | None:
        """float32 (n, 2), years."""

    @property
    def p_male(self) -> Floats | None:
        """float32 (n,), in [0, 1]."""

    @property
    def track_id(self) -> npt.NDArray[np.int64] | None:
        """int64 (n,), -1 for none."""

    @property
    def quality(self) -> Floats | None:
        """float32 (n,), in [0, 1]."""

    def __len__(self) -> int: ...


def value_at(column: npt.NDArray[Any] | None, row: int) -> float | None:
    """A number of a column as a plain one; ``None`` for one that is not finite, and without the column."""
    value = float("nan") if column is None else float(column[row])
    return value if np.isfinite(value) else None


def interval_at(column: Floats | None, row: int) -> tuple[float, float] | None:
    """Both ends of an interval, or ``None`` unless both are known."""
    if column is None:
        return None
    low, high = value_at(column[:, 0], row), value_at(column[:, 1], row)
    return None if low is None or high is None else (low, high)
