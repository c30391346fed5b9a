"""Faces that must stay on one side: of one person, of one picture, or copies of one another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt


def connect(
    n: int, same: Sequence[Sequence[Hashable | None]] = (), pairs: Iterable[tuple[int, int]] = ()
) -> npt.NDArray[np.int64]:
    """Which of n rows hang together, over any number of steps (union-find).

    >>> connect(5, same=[["ann", None, "ann", None, None]], pairs=[(2, 4)]).tolist()
    [0, 1, 0, 3, 0]

    Args:
        n: number of rows.
        same: columns of n values; rows with equal values hang together, ``None`` equals nothing.
        pairs: further rows that hang together, by twos.

    Returns:
        int64 (n,): the first row of those that each row hangs together with.

    Raises:
        ValueError: a column is of another length.
    """
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(a: int, b: int) -> None:
        low, high = sorted((root(a), root(b)))
        parent[high] = low

    for column in same:
        if len(column) != n:
            raise ValueError(f"same must hold columns of {n} values, got one of {len(column)}")
        first: dict[Hashable, int] = {}
        for row, value in enumerate(column):
            if value is not None:
                join(first.setdefault(value, row), row)
    for a, b in pairs:
        join(a, b)
    return np.array([root(row) for row in range(n)], np.int64)
