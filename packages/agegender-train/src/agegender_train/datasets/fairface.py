"""FairFace: crops with an age group, a gender and an ancestry in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets.base import (
    LABEL_UNCLEAR,
    MISSING_LABEL,
    MISSING_PICTURE,
    SECOND_COPY,
    Dataset,
    Rejection,
    Sample,
    is_picture,
)
from agegender_train.labels import parse_age_group

if TYPE_CHECKING:
    from agegender_train.archives import FileTree

_COLUMNS = {"file", "age", "gender", "race"}
_GENDERS = {"male": 1, "female": 0}
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
        labels = [name for name in files.names if name.lower().endswith(".csv")]
        rows = [row for name in labels for row in _read_labels(files.read(name))]
        if not rows:
            raise ValueError(f"no CSV file with the columns {', '.join(sorted(_COLUMNS))} is in {files}")
        return _match(rows, [name for name in files.names if is_picture(name)])


def _read_labels(data: bytes) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace")))
    return list(reader) if set(reader.fieldnames or ()) >= _COLUMNS else []


def _match(rows: list[dict[str, str]], pictures: list[str]) -> Iterator[Sample | Rejection]:
    by_stem: dict[str, str] = {}
    left: dict[str, Rejection] = {}
    for name in pictures:
        first = by_stem.setdefault(_stem(name), name)
        left[name] = Rejection(name, MISSING_LABEL) if first == name else Rejection(name, SECOND_COPY, first)
    used: set[str] = set()
    for row in rows:
        name = by_stem.get(_stem(row["file"]), "")
        if name in used:
            raise ValueError(f"the label files have two rows for {row['file']}")
        if not name:
            yield Rejection(row["file"], MISSING_PICTURE)
            continue
        used.add(name)
        yield _sample(name, row)
    yield from (rejection for name, rejection in left.items() if name not in used)


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return f"{path.parent.name}/{path.stem}"


def _sample(name: str, row: dict[str, str]) -> Sample | Rejection:
    try:
        low, high = parse_age_group(row["age"]) or (None, None)
    except ValueError:
        return Rejection(name, LABEL_UNCLEAR, row["age"])
    split = PurePosixPath(name).parent.name
    gender = _GENDERS.get(row["gender"].strip().lower())
    return Sample(name, low, high, gender, row["race"] or None, None, split or None, _KNOWN_BOX)
