"""Connected components: rows linked by equal values or by pairs, over any number of steps."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt


def connected_components(
    n: int, same: Sequence[Sequence[Hashable | None]] = (), pairs: Iterable[tuple[int, int]] = ()
) -> npt.NDArray[np.int64]:
    """The connected component of each of n rows (union-find).

    >>> connected_components(5, same=[["ann", None, "ann", None, None]], pairs=[(2, 4)]).tolist()
    [0, 1, 0, 3, 0]

    Args:
        n: number of rows.
        same: columns of n values; rows with equal values are connected, ``None`` equals nothing.
        pairs: further rows that are connected, two at a time.

    Returns:
        int64 (n,): the first row of each row's component.

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
