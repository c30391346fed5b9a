"""Intervals of figures by the bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

Faces are drawn with replacement, as many as there are; the figure's 2.5 % and 97.5 % quantiles over many such draws are
its 95 % interval. Where people have several pictures (FG-NET has 82 people), people are drawn instead of faces: two
pictures of one person are not independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from agegender_train.store.labels import Labels

ROUNDS = 1000
"""Draws of a bootstrap."""

LEVEL = 0.95
"""The share of the draws within an interval."""

_CHUNK = 50


def clusters_of(labels: Labels) -> npt.NDArray[np.int64]:
    """The person of each face as a number from 0 without gaps: int64 (n,).

    A face without a subject is a person of its own.
    """
    names = [("", row) if subject is None else (str(subject), -1) for row, subject in enumerate(labels.subject)]
    numbers: dict[tuple[str, int], int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def resamples(
    clusters: npt.NDArray[np.int64], rounds: int = ROUNDS, seed: int = 0
) -> Iterator[npt.NDArray[np.float64]]:
    """How often each face is drawn, float64 (some, n), until there are `rounds`; equal arguments give equal draws.

    Args:
        clusters: see `clusters_of`.
        rounds: draws.
        seed: of the random draws.
    """
    chance = np.random.default_rng(seed)
    people = int(clusters.max(initial=-1)) + 1
    for start in range(0, rounds, _CHUNK):
        draws = [
            np.bincount(chance.integers(people, size=people), minlength=people)
            for _ in range(min(_CHUNK, rounds - start))
        ]
        yield np.array(draws, np.float64)[:, clusters]


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits matrix products to one thread: small ones are done before a second thread has started."""
    with threadpool_limits(1):
        yield


def spread(values: npt.NDArray[np.float64], level: float = LEVEL) -> tuple[float, float] | None:
    """The central interval that holds `level` of a figure's draws; ``None`` where fewer than half have the figure."""
    there = values[~np.isnan(values)]
    if not len(there) or 2 * len(there) < len(values):
        return None
    low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def spreads(draws: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, tuple[float, float]]:
    """The `spread` of each figure that has one; counts have none."""
    found = {name: spread(values) for name, values in draws.items() if name.split("_")[0] != "n"}
    return {name: ends for name, ends in found.items() if ends is not None}
