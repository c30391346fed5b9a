"""Folds: whole components distributed so that each fold has its share of every kind of face, deterministically."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

_ONE = 1 << 40


def assign_folds(
    names: Sequence[str],
    components: npt.NDArray[np.int64],
    strata: Sequence[tuple[Hashable, ...]],
    folds: int,
    seed: int = 1,
) -> npt.NDArray[np.int16]:
    """Distributes whole components over folds, greedily making every fold as similar to the whole as possible.

    The components come one by one, the largest first, those of one size by strata and then by a hash of seed and name,
    and each goes to the fold that has the least of what it brings. A fold that it would make larger than the smallest
    by more than the largest component is excluded; so no two folds differ by more rows than that.

    The result depends only on the names, the components, the strata and the seed, not on the rows' order, the machine
    or the versions of Python and NumPy.

    Args:
        names: n different names, one a row.
        components: int64 (n,), equal for rows that must stay together; see `connected_components`.
        strata: n tuples of equal length, of plain strings or numbers: what kind each row is in each respect. Every
            value and every combination of values is spread.
        folds: how many, at least 2.
        seed: another one gives other folds.

    Returns:
        int16 (n,): the fold of each row, 0 to folds - 1; all folds have rows.

    Raises:
        ValueError: lengths differ, two rows have one name, or there are fewer components than folds.
    """
    n = len(names)
    if len(components) != n or len(strata) != n:
        raise ValueError(f"components and strata must have {n} values as names, got {len(components)}, {len(strata)}")
    if len(set(names)) != n:
        raise ValueError(f"names must all differ, got {Counter(names).most_common(1)[0][0]!r} more than once")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    members: dict[int, list[int]] = {}
    for row, component in enumerate(components.tolist()):
        members.setdefault(component, []).append(row)
    if len(members) < folds:
        raise ValueError(f"folds must be at most {len(members)}, the number of independent groups, got {folds}")
    totals = Counter(feature for kind in strata for feature in _features(kind))
    weight = {kind: _ONE // total for kind, total in totals.items()}
    slack = max(map(len, members.values()))
    size, count = [0] * folds, {kind: [0] * folds for kind in totals}
    result = np.empty(n, np.int16)
    for rows in _ordered(members, names, strata, seed):
        kinds = Counter(feature for row in rows for feature in _features(strata[row]))
        brought = [(number * weight[kind], count[kind]) for kind, number in kinds.items()]
        brought.append((len(rows) * (_ONE // n), size))
        most = min(size) + slack - len(rows)
        best = min(
            (sum(part * there[fold] for part, there in brought), size[fold], fold)
            for fold in range(folds)
            if size[fold] <= most
        )[2]
        size[best] += len(rows)
        for kind, number in kinds.items():
            count[kind][best] += number
        result[rows] = best
    return result


def _features(kind: tuple[Hashable, ...]) -> list[Hashable]:
    """A row's values, each with its place, and their combination."""
    return [*enumerate(kind), (-1, kind)]


def _ordered(
    members: dict[int, list[int]], names: Sequence[str], strata: Sequence[tuple[Hashable, ...]], seed: int
) -> list[list[int]]:
    """Each component's rows, in the order in which they are to be placed."""
    found = []
    for rows in members.values():
        kinds = Counter(strata[row] for row in rows)
        order = min(
            blake2b(f"{seed}:{names[row]}".encode("utf-8", "surrogatepass"), digest_size=16).digest() for row in rows
        )
        found.append((-len(rows), sorted((str(kind), number) for kind, number in kinds.items()), order, rows))
    found.sort(key=lambda entry: entry[:3])
    return [rows for *_, rows in found]
