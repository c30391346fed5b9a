"""FairFace: crops with an age group, a gender and an ancestry in a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets._label_files import Pictures, find_tables, read_table
from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample
from agegender_train.store.labels import parse_age_group

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_COLUMNS = ("age", "file", "gender", "race")
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

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Label files in the order of their names, row by row, then pictures without a label."""
        tables = find_tables(files, _COLUMNS)
        pictures = Pictures(files, parts=2)
        seen: set[str] = set()
        for table in tables:
            for row in read_table(files, table, _COLUMNS):
                label = row.fields["file"]
                if row.problem or not label:
                    yield Rejection(pictures.key(f"{table}:{row.line}"), LABEL_UNCLEAR, row.problem or "no file")
                    continue
                if label in seen:
                    raise ValueError(f"the label files have two rows for {label}")
                seen.add(label)
                yield _sample(pictures.key(pictures.find(label) or label), row.fields)
        yield from pictures.left_over()


def _sample(key: str, fields: dict[str, str]) -> Sample | Rejection:
    try:
        low, high = parse_age_group(fields["age"]) or (None, None)
    except ValueError:
        return Rejection(key, LABEL_UNCLEAR, fields["age"])
    gender = fields["gender"].lower()
    if gender not in _GENDERS:
        return Rejection(key, LABEL_UNCLEAR, f"gender {gender}")
    split = PurePosixPath(fields["file"]).parent.name
    return Sample(key, low, high, _GENDERS[gender], fields["race"] or None, None, split or None, _KNOWN_BOX)
