"""What is rejected before any picture is decoded: labels that can't be right, and copies of files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor

from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import AGE_OUT_OF_RANGE
from agegender_train.duplicates.agreement import CONFLICT, Box, Label, group_by_face, labels_to_drop
from agegender_train.store.labels import MAX_AGE

NO_LABEL = "neither age nor gender"
DUPLICATE = "duplicate"
_BATCH = 64


def check_label(sample: Sample) -> Rejection | None:
    """Why a sample's label is unusable, whatever its picture; ``None`` if it is usable."""
    if sample.age_low is None or sample.age_high is None:
        return Rejection(sample.key, NO_LABEL) if sample.gender is None else None
    if not 0 <= sample.age_low <= sample.age_high <= MAX_AGE:
        return Rejection(sample.key, AGE_OUT_OF_RANGE, f"{sample.age_low:g} to {sample.age_high:g}")
    return None


def find_duplicates(
    samples: Iterable[Sample], files: FileTree, executor: Executor, progress: Callable[[int, int], None]
) -> list[Rejection]:
    """The labels to reject because the same face occurs under another name or label.

    Copies are equal files, byte for byte, or one file with several labels, as far as these are of the same face (see
    `group_by_face`). Of copies whose labels agree one stays, of others none (see `labels_to_drop`).

    Args:
        samples: in the order by which one of them is the first.
        files: where their contents are. Only files of equal size (and CRC, where an archive gives it) are read.
        executor: reads and hashes.
        progress: called with the number of files hashed and the number to hash.
    """
    by_file: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.file in files:
            by_file[sample.file].append(sample)
    suspects = list(_suspects(by_file, files))
    batches = [suspects[start : start + _BATCH] for start in range(0, len(suspects), _BATCH)]
    contents: dict[bytes, list[str]] = defaultdict(list)
    done = 0
    for batch, digests in zip(batches, executor.map(lambda batch: _digests(files, batch), batches), strict=True):
        for name, digest in zip(batch, digests, strict=True):
            contents[digest or name.encode()].append(name)  # what can't be read is rejected as unreadable later
        done += len(batch)
        progress(done, len(suspects))
    hashed = set(suspects)
    groups = [*contents.values(), *([name] for name in by_file if name not in hashed)]
    places = {sample.key: place for place, sample in enumerate(sample for of in by_file.values() for sample in of)}
    found: list[Rejection] = []
    for names in groups:
        copies = sorted((sample for name in names for sample in by_file[name]), key=lambda copy: places[copy.key])
        for face in group_by_face(_boxes(copies)):
            same = [copies[place] for place in face]
            labels = [Label(copy.age_low, copy.age_high, copy.gender) for copy in same]
            for place, (other, conflict) in labels_to_drop(labels).items():
                found.append(Rejection(same[place].key, CONFLICT if conflict else DUPLICATE, same[other].key))
    return found


def _boxes(copies: Sequence[Sample]) -> list[Box | None]:
    """The known boxes in one unit: pixels where any label has them, else parts of the picture."""
    in_pixels = any(copy.known_xyxy is not None for copy in copies)
    return [copy.known_xyxy if in_pixels else copy.known_box for copy in copies]


def _suspects(names: Iterable[str], files: FileTree) -> Iterator[str]:
    """Files that may be equal to another one; empty ones are unreadable, not equal."""
    names = (name for name in names if files.clue(name)[0])
    for alike in _grouped(names, lambda name: files.clue(name)[0]):
        if any(files.clue(name)[1] is None for name in alike):
            yield from alike
        else:
            for equal in _grouped(alike, lambda name: files.clue(name)[1]):
                yield from equal


def _grouped(names: Iterable[str], by: Callable[[str], object]) -> list[list[str]]:
    """Groups of at least two names, each in the names' order."""
    groups: dict[object, list[str]] = defaultdict(list)
    for name in names:
        groups[by(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _digests(files: FileTree, names: Sequence[str]) -> list[bytes]:
    return [_digest(files, name) for name in names]


def _digest(files: FileTree, name: str) -> bytes:
    try:
        return hashlib.sha256(files.read(name)).digest()
    except OSError:
        return b""
