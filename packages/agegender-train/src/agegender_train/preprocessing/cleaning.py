"""What is left out before any picture is decoded: labels that can't be right, and copies."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor

from agegender_train.archives import FileTree
from agegender_train.datasets import Rejection, Sample
from agegender_train.labels import MAX_AGE

AGE_OUT_OF_RANGE = "age out of range"
NO_LABEL = "neither age nor gender"
DUPLICATE = "duplicate"
CONFLICT = "conflicting labels"
_BATCH = 64


def check_label(sample: Sample) -> Rejection | None:
    """Why a sample's label is of no use, whatever its picture; ``None`` if it is."""
    if sample.age_low is None or sample.age_high is None:
        return Rejection(sample.key, NO_LABEL) if sample.gender is None else None
    if not 0 <= sample.age_low <= sample.age_high <= MAX_AGE:
        return Rejection(sample.key, AGE_OUT_OF_RANGE, f"{sample.age_low:g} to {sample.age_high:g}")
    return None


def find_duplicates(
    samples: Iterable[Sample], files: FileTree, executor: Executor, progress: Callable[[int, int], None]
) -> list[Rejection]:
    """The pictures to leave out because the same bytes are there under another name.

    Of copies with the same age and gender the first stays. Where copies differ in age or gender none stays: there is
    no telling which label is right. Ancestry isn't compared: it is no part of what the networks learn.

    Args:
        samples: in the fixed order that "first" refers to.
        files: where their contents are. Only files of equal size (and CRC, where an archive tells it) are read.
        executor: reads and hashes.
        progress: called with the number of files that are hashed and the number of all.
    """
    suspects = list(_suspects(samples, files))
    batches = [suspects[start : start + _BATCH] for start in range(0, len(suspects), _BATCH)]
    digests: dict[str, bytes] = {}
    for batch in executor.map(lambda batch: _digests(files, batch), batches):
        digests |= batch
        progress(len(digests), len(suspects))
    found: list[Rejection] = []
    for copies in _grouped((sample for sample in suspects if digests[sample.key]), lambda sample: digests[sample.key]):
        first, *others = copies
        if len({(copy.age_low, copy.age_high, copy.gender) for copy in copies}) > 1:
            found += [Rejection(first.key, CONFLICT, others[0].key)]
            found += [Rejection(other.key, CONFLICT, first.key) for other in others]
        else:
            found += [Rejection(other.key, DUPLICATE, first.key) for other in others]
    return found


def _suspects(samples: Iterable[Sample], files: FileTree) -> Iterator[Sample]:
    for alike in _grouped(samples, lambda sample: files.clue(sample.file)[0]):
        if any(files.clue(sample.file)[1] is None for sample in alike):
            yield from alike
        else:
            for equal in _grouped(alike, lambda sample: files.clue(sample.file)[1]):
                yield from equal


def _grouped(samples: Iterable[Sample], by: Callable[[Sample], object]) -> list[list[Sample]]:
    """Groups of at least two samples, each in the samples' order."""
    groups: dict[object, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[by(sample)].append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _digests(files: FileTree, samples: Sequence[Sample]) -> dict[str, bytes]:
    return {sample.key: _digest(files, sample.file) for sample in samples}


def _digest(files: FileTree, key: str) -> bytes:
    try:
        return hashlib.sha256(files.read(key)).digest()
    except OSError:
        return b""  # is counted as unreadable later
