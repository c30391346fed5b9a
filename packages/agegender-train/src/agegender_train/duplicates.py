"""Finds pictures that are equal to the last byte, and whether their labels agree."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from agegender_train.archives import FileTree
from agegender_train.datasets import Rejection, Sample

DUPLICATE = "duplicate"
CONFLICT = "conflicting labels"


def find_duplicates(
    samples: Iterable[Sample], files: FileTree, executor: Executor, progress: Callable[[int, int], None]
) -> dict[str, Rejection]:
    """Which pictures to leave out because the same bytes are there under another name, by key.

    Of copies with the same age and gender the first stays. Where copies differ in age or gender none stays: there is
    no telling which label is right. The group doesn't count, since it tells no right picture from a wrong one.

    Args:
        samples: in the fixed order that "first" refers to.
        files: where their contents are. Only files of equal size (and CRC, where an archive tells it) are read.
        executor: reads and hashes.
        progress: called with the number of files that are hashed and the number of all.
    """
    suspects = [sample for alike in _grouped(samples, lambda sample: files.clue(sample.key)) for sample in alike]
    digests: dict[str, bytes] = {}
    keys = [sample.key for sample in suspects]
    for key, digest in zip(keys, executor.map(lambda key: _digest(files, key), keys), strict=True):
        digests[key] = digest
        progress(len(digests), len(keys))
    found: dict[str, Rejection] = {}
    for copies in _grouped((sample for sample in suspects if digests[sample.key]), lambda sample: digests[sample.key]):
        first = copies[0]
        if len({(copy.age_low, copy.age_high, copy.gender) for copy in copies}) == 1:
            found |= {copy.key: Rejection(copy.key, DUPLICATE, first.key) for copy in copies[1:]}
        else:
            others = {copy: next(other for other in copies if other is not copy) for copy in copies}
            found |= {copy.key: Rejection(copy.key, CONFLICT, other.key) for copy, other in others.items()}
    return found


def _grouped(samples: Iterable[Sample], by: Callable[[Sample], object]) -> list[list[Sample]]:
    """Groups of at least two samples, each in the samples' order."""
    groups: dict[object, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[by(sample)].append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _digest(files: FileTree, key: str) -> bytes:
    try:
        return hashlib.sha256(files.read(key)).digest()
    except OSError:
        return b""  # is counted as unreadable later
