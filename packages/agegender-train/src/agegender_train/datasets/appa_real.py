"""APPA-REAL: photos with the real age and the ages that some 38 people guessed for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from agegender_train.datasets._ages import Ages
from agegender_train.datasets._label_files import Pictures, Row, Table
from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample, one_of

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_TABLE = re.compile(r"gt_avg_(train|valid|test)\.csv", re.IGNORECASE)
# The faces are cut with a margin of 40 % of the box on each side.
_CROP_BOX = (0.4 / 1.8, 0.4 / 1.8, 1.4 / 1.8, 1.4 / 1.8)


class _AppaReal(Dataset):
    """7,591 pictures in the splits train, valid and test; the gender isn't given.

    Each picture comes twice: whole, and as the labelled face turned upright with a margin of 40 %. The face is taken,
    since a whole picture may show others, too; the whole one stands in where the face's file is missing.
    """

    licence = "research only"
    url = "https://chalearnlap.cvc.uab.cat/dataset/26/description/"
    layout = (
        "gt_avg_train.csv, gt_avg_valid.csv and/or gt_avg_test.csv beside the folders train, valid and test with "
        "000000.jpg_face.jpg and/or 000000.jpg, loose or in archives"
    )
    column: ClassVar[str]
    """Which column of the tables is the age."""

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows of the tables by split, then pictures without a label; see `Dataset.samples`."""
        tables: dict[str, list[str]] = {}
        for name in files.names:
            if match := _TABLE.fullmatch(PurePosixPath(name).name):
                tables.setdefault(match[1].lower(), []).append(name)
        if not tables:
            raise ValueError(f"no gt_avg_train.csv, gt_avg_valid.csv or gt_avg_test.csv is in {files}")
        pictures = Pictures(files, parts=2)
        for split, copies in sorted(tables.items()):
            table = Table(files, one_of(files, copies), ("file_name", self.column))
            ages = Ages(files, table)
            for row in table:
                yield _entry(row, split, table.name, self.column, pictures, ages)
        yield from pictures.left_over()


class AppaReal(_AppaReal):
    """With the real age."""

    name = "appa-real"
    title = "APPA-REAL, real age (Agustsson et al., 2017)"
    column = "real_age"


class AppaRealApparent(_AppaReal):
    """With the mean of the guessed ages, a fraction of years."""

    name = "appa-real-apparent"
    title = "APPA-REAL, apparent age (Agustsson et al., 2017)"
    column = "apparent_age_avg"


def _entry(row: Row, split: str, table: str, column: str, pictures: Pictures, ages: Ages) -> Sample | Rejection:
    file = row.fields["file_name"]
    if row.problem or not file:
        return Rejection(pictures.key(f"{table}:{row.line}"), LABEL_UNCLEAR, row.problem or "no file_name")
    whole = f"{split}/{PurePosixPath(file).name}"
    face = f"{whole}_face.jpg"
    picture = pictures.find(face, whole) or whole
    key = pictures.key(picture)
    try:
        low, high = ages.read(row.fields[column]) or (None, None)
    except ValueError:
        return Rejection(key, LABEL_UNCLEAR, row.fields[column])
    known_box = _CROP_BOX if picture.endswith("_face.jpg") else None
    return Sample(key, low, high, split=split, known_box=known_box, picture=None if key == picture else picture)
