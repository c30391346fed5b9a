"""FG-NET: person and age stand in the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample, is_picture

if TYPE_CHECKING:
    from agegender_train.archives import FileTree

_NAME = re.compile(r"(?P<subject>\d{3})A(?P<age>\d{2})[a-z]?", re.IGNORECASE)


class FGNet(Dataset):
    """Photos named ``001A02.JPG``: person 001 at the age of 2, with a letter behind where there are several.

    Photos with surroundings, not crops. The person is the subject; the gender is not told.
    """

    name = "fgnet"
    title = "FG-NET Aging Database (Lanitis et al., 2002)"
    licence = "research only"
    url = "https://yanweifu.github.io/FG_NET_data/"
    layout = "pictures named 001A02.JPG (person 001, age 2) in any folder; the landmarks in points/ are not used"

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Every picture in the order of the names; see `Dataset.samples`."""
        pictures = [name for name in files.names if is_picture(name)]
        if not any(_NAME.fullmatch(PurePosixPath(name).stem) for name in pictures):
            raise ValueError(f"no picture is named like 001A02.JPG in {files}")
        return (_sample(name) for name in pictures)


def _sample(name: str) -> Sample | Rejection:
    match = _NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return Rejection(name, LABEL_UNCLEAR, PurePosixPath(name).name)
    age = int(match["age"])
    return Sample(name, age, age, subject=match["subject"])
