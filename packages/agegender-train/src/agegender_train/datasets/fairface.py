"""FairFace: crops with an age group, a gender and an ancestry in a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets._ages import Ages
from agegender_train.datasets._label_files import Pictures, Table, find_tables
from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample
from agegender_train.store.labels import MAX_AGE

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_COLUMNS = ("age", "file", "gender", "race")
_GROUPS = (
    (0.0, 2.0),
    (3.0, 9.0),
    (10.0, 19.0),
    (20.0, 29.0),
    (30.0, 39.0),
    (40.0, 49.0),
    (50.0, 59.0),
    (60.0, 69.0),
    (70.0, float(MAX_AGE)),
)
_GENDERS = {"male": 1, "female": 0, "": None}
# The crops are dlib chips with padding 0.25; this is where dlib's detector finds the face in those it finds one in.
_KNOWN_BOX = (10 / 160, 10 / 160, 139 / 160, 139 / 160)


class FairFace(Dataset):
    """108,501 crops, balanced over seven groups of ancestry; ages come in nine groups.

    Pictures are matched with labels by split and number ("train/1"), whatever their suffix and the folder above.
    """

    name = "fairface"
    title = "FairFace (Kärkkäinen and Joo, 2021)"
    licence = "CC BY 4.0"
    url = "https://github.com/joojs/fairface"
    layout = (
        "fairface_label_train.csv and/or fairface_label_val.csv beside train/1.jpg, val/1.jpg, ... of the version with "
        "padding 0.25, loose or in archives"
    )

    age_groups = _GROUPS

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Label files in the order of their names, row by row, then pictures without a label."""
        tables = [Table(files, name, _COLUMNS) for name in find_tables(files, _COLUMNS)]
        pictures = Pictures(files, parts=2)
        seen: set[str] = set()
        for table in tables:
            ages = Ages(files, table, _GROUPS)
            for row in table:
                label = row.fields["file"]
                if row.problem or not label:
                    yield Rejection(pictures.key(f"{table.name}:{row.line}"), LABEL_UNCLEAR, row.problem or "no file")
                    continue
                if label in seen:
                    raise ValueError(f"the label files have two rows for {label}")
                seen.add(label)
                yield _sample(pictures.key(pictures.find(label) or label), row.fields, ages)
        yield from pictures.left_over()


def _sample(key: str, fields: dict[str, str], ages: Ages) -> Sample | Rejection:
    try:
        low, high = ages.read(fields["age"]) or (None, None)
    except ValueError:
        return Rejection(key, LABEL_UNCLEAR, fields["age"])
    gender = fields["gender"].lower()
    if gender not in _GENDERS:
        return Rejection(key, LABEL_UNCLEAR, f"gender {gender}")
    split = PurePosixPath(fields["file"]).parent.name
    return Sample(key, low, high, _GENDERS[gender], fields["race"] or None, None, split or None, _KNOWN_BOX)
