"""AgeDB: name, age and gender stand in the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample, is_picture

if TYPE_CHECKING:
    from agegender_train.archives import FileTree

_NAME = re.compile(r"[0-9]+_(?P<subject>.*[^_])_(?P<age>[0-9]{1,3})_(?P<gender>[mf])", re.IGNORECASE | re.DOTALL)
_GENDERS = {"m": 1, "f": 0}


class AgeDB(Dataset):
    """16,488 photos of 568 people, named ``0_MariaCallas_35_f.jpg``; the person is the subject."""

    name = "agedb"
    title = "AgeDB (Moschoglou et al., 2017)"
    licence = "non-commercial research only"
    url = "https://ibug.doc.ic.ac.uk/resources/agedb/"
    layout = "pictures named 0_MariaCallas_35_f.jpg (number, name, age, m or f) in any folders"

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Every picture in the order of the names; see `Dataset.samples`."""
        pictures = [name for name in files.names if is_picture(name)]
        if not any(_NAME.fullmatch(PurePosixPath(name).stem) for name in pictures):
            raise ValueError(f"no picture is named like 0_MariaCallas_35_f.jpg in {files}")
        return (_sample(name) for name in pictures)


def _sample(name: str) -> Sample | Rejection:
    match = _NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return Rejection(name, LABEL_UNCLEAR, PurePosixPath(name).name)
    age = int(match["age"])
    return Sample(name, age, age, _GENDERS[match["gender"].lower()], subject=match["subject"])
