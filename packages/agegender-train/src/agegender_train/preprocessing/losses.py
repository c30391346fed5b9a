"""What people should know of a dataset that was read: what was understood in another way, and what was lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import AGE_OUT_OF_RANGE, LABEL_UNCLEAR
from agegender_train.store.labels import AGE_BANDS

_SHARE = 0.05
_MOST_VALUES = 3
_FEWEST = 5
_GENDERS = {1: "male", 0: "female"}


def notes_of(files: FileTree) -> list[str]:
    """What a reader noticed in its files, as sentences, each with the number of rows that it is true of."""
    return [text if not rows else f"{text} ({rows:,} row{'s' * (rows > 1)})" for text, rows in files.notes.items()]


def find_losses(
    entries: Sequence[Sample | Rejection], rejections: Sequence[Rejection], age_groups: Sequence[tuple[float, float]]
) -> list[str]:
    """Warnings of labels that were lost as a kind: one value that makes up more than 5 % of all that was left out, and
    classes (a gender, an age group) of which nothing is left though something else is.

    Args:
        entries: all that the reader gave.
        rejections: all that was left out in the end.
        age_groups: those of the dataset, if they are known.
    """
    reasons = {rejection.key: rejection.reason for rejection in rejections}
    kept = [entry for entry in entries if isinstance(entry, Sample) and entry.key not in reasons]
    unclear = Counter(_values(rejections, LABEL_UNCLEAR))
    impossible = {value: n for value, n in Counter(_values(rejections, AGE_OUT_OF_RANGE)).items() if n >= _FEWEST}
    found = [
        f"{count:,} of {len(entries):,} rows ({count / len(rejections):.1%} of what was left out) are lost to one "
        f"label: {value}"
        for value, count in (unclear + Counter(impossible)).most_common(_MOST_VALUES)
        if count > _SHARE * len(rejections)
    ]
    there, left = (
        Counter(name for sample in samples for name in _classes(sample)) for samples in (_all(entries), kept)
    )
    if not kept:
        return found
    why: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in _all(entries):
        for name in _classes(sample):
            if name not in left:
                why[name][reasons[sample.key]] += 1
    for name, counts in why.items():
        if there[name] >= _FEWEST:
            (reason, _), *_ = counts.most_common(1)
            found.append(f"all {there[name]:,} labels of {name} were left out; the commonest reason: {reason}")
    if unclear:
        known = [*(f"the age group {low:g}-{high:g}" for low, high in age_groups), *map(_gender, _GENDERS)]
        (value, _), *_ = unclear.most_common(1)
        for name in known:
            if name not in there and (name not in map(_gender, _GENDERS) or any(map(_gender_of, kept))):
                found.append(f"no label of {name} was read; the commonest that was not understood: {value}")
    return found


def _all(entries: Sequence[Sample | Rejection]) -> Iterator[Sample]:
    return (entry for entry in entries if isinstance(entry, Sample))


def _values(rejections: Sequence[Rejection], reason: str) -> Iterator[str]:
    """The labels that were rejected for this reason; not the names of pictures that are labels themselves."""
    for rejection in rejections:
        if rejection.reason == reason and rejection.value not in ("", PurePosixPath(rejection.key).name):
            yield rejection.value


def _classes(sample: Sample) -> Iterator[str]:
    if sample.gender is not None:
        yield _gender(sample.gender)
    if sample.age_low is not None and sample.age_high is not None:
        if sample.age_low < sample.age_high:
            yield f"the age group {sample.age_low:g}-{sample.age_high:g}"
        elif sample.age_low >= 0:
            yield f"the ages {AGE_BANDS[min(int(sample.age_low // 10), len(AGE_BANDS) - 1)]}"


def _gender(gender: int) -> str:
    return f"the gender {_GENDERS[gender]}"


def _gender_of(sample: Sample) -> bool:
    return sample.gender is not None
