"""LAGENDA, and what else its authors annotated so: several faces a picture, in a CSV file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from agegender_train.datasets._ages import Ages, with_decimal_point
from agegender_train.datasets._label_files import Pictures, Row, Table, find_tables
from agegender_train.datasets.base import LABEL_UNCLEAR, NO_BOX, Dataset, Rejection, Sample

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_Box: TypeAlias = tuple[float, float, float, float]
_BOX = ("face_x0", "face_y0", "face_x1", "face_y1")
_COLUMNS = ("img_name", "age", "gender", *_BOX)
_GENDERS = {"m": 1, "f": 0, "-1": None, "": None}
_MISSING = ("-1", "-1.0", "")


class Lagenda(Dataset):
    """67,159 pictures of Open Images with 84,192 labelled people.

    A row is a person: the pixels of face and body, age and gender, each -1 where it is not known. A row without the
    box of a face is rejected, since any face found in the picture may be another person's; a face that nobody labelled
    is rejected for want of age and gender.
    """

    name = "lagenda"
    title = "LAGENDA (Kuprashevich and Tolstykh, 2023)"
    licence = "annotations: see the authors' page; pictures: CC BY 2.0 (Open Images)"
    url = "https://wildchlamydia.github.io/lagenda/"
    layout = (
        "one or more CSV files with the columns img_name, age, gender, face_x0, face_y0, face_x1, face_y1 beside the "
        "pictures under the names in img_name, loose or in archives"
    )

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows of the tables in the order of their names, then pictures without a label."""
        tables = [Table(files, name, _COLUMNS) for name in find_tables(files, _COLUMNS)]
        pictures = Pictures(files, parts=_parts(tables), any_suffix=False)
        for table in tables:
            ages = Ages(files, table)
            for row in table:
                yield _entry(row, table, pictures, ages)
        yield from pictures.left_over()


def _parts(tables: Sequence[Table]) -> int:
    """How many parts of a name tell pictures apart: one if that will do, so that any folder above is right."""
    names = {row.fields["img_name"] for table in tables for row in table}
    if len({name.rsplit("/", 1)[-1] for name in names}) == len(names):
        return 1
    return max(name.count("/") + 1 for name in names)


def _entry(row: Row, table: Table, pictures: Pictures, ages: Ages) -> Sample | Rejection:
    name = row.fields["img_name"]
    if row.problem or not name:
        return Rejection(pictures.key(f"{table.name}:{row.line}"), LABEL_UNCLEAR, row.problem or "no img_name")
    picture = pictures.find(name) or name
    key = pictures.key(picture)
    age, gender = row.fields["age"].replace(";", "-"), row.fields["gender"].lower()  # the authors write 25;32 for 25-32
    try:
        box = _box([row.fields[column] for column in _BOX], table.has_decimal_commas)
        low, high = (None if age in _MISSING else ages.read(age)) or (None, None)
    except ValueError as error:
        return Rejection(key, LABEL_UNCLEAR, str(error))
    if gender not in _GENDERS:
        return Rejection(key, LABEL_UNCLEAR, f"gender {gender}")
    if box is None:
        return Rejection(key, NO_BOX)
    return Sample(key, low, high, _GENDERS[gender], known_xyxy=box, picture=None if key == picture else picture)


def _box(texts: list[str], has_decimal_commas: bool) -> _Box | None:
    if any(text in _MISSING for text in texts):
        return None
    try:
        left, top, right, bottom = (float(with_decimal_point(text, has_decimal_commas) or text) for text in texts)
    except ValueError:
        raise ValueError(f"a box must be four numbers, got {', '.join(texts)}") from None
    if not (all(map(math.isfinite, (left, top, right, bottom))) and left < right and top < bottom):
        raise ValueError(f"a box must have a width and a height, got {', '.join(texts)}")
    return left, top, right, bottom
