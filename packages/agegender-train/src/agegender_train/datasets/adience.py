"""Adience: faces from Flickr albums, in age groups, with five folds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agegender_train.datasets._ages import Ages
from agegender_train.datasets._label_files import Pictures, Row, Table
from agegender_train.datasets.base import AGE_MISSING, LABEL_UNCLEAR, Dataset, Rejection, Sample, one_of

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_FOLD = re.compile(r"fold_(\d+)_data\.txt", re.IGNORECASE)
_COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")
_GENDERS = {"m": 1, "f": 0, "u": None, "": None}  # u: unclear, mostly babies
_PREFIXES = ("coarse_tilt_aligned_face", "landmark_aligned_face")

_GROUPS = ((0.0, 2.0), (4.0, 6.0), (8.0, 12.0), (15.0, 20.0), (25.0, 32.0), (38.0, 43.0), (48.0, 53.0), (60.0, 100.0))
# Of each of these exactly one end belongs to a group of the dataset, and to one group only.
_SLIPS = {
    "(8, 23)": (8.0, 12.0),
    "(27, 32)": (25.0, 32.0),
    "(38, 42)": (38.0, 43.0),
    "(38, 48)": (38.0, 43.0),  # (48, 53) starts with 48, but no group ends with it
}
# The face stands in the middle of these crops, which are cut with much room round it.
_KNOWN_BOX = (0.25, 0.25, 0.75, 0.75)


class Adience(Dataset):
    """19,370 faces; ages come in eight groups, (60, 100) being the open one, and some as single years.

    Groups stay intervals. Four spellings that are none of the eight are read as the group that they share an end with.
    The folds are the splits "fold-0" to "fold-4". The album (``user_id``) is the subject, as for the folds, which no
    album is on both sides of; a ``face_id`` never has two ages, so that a child of an album can have several.
    """

    name = "adience"
    title = "Adience (Eidinger, Enbar and Hassner, 2014)"
    licence = "research only"
    url = "https://talhassner.github.io/home/projects/Adience/Adience-data.html"
    layout = (
        "fold_0_data.txt ... fold_4_data.txt (those called fold_frontal are not read) beside "
        "faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image> or aligned/<user_id>/"
        "landmark_aligned_face.<face_id>.<original_image>, loose or in archives"
    )

    age_groups = _GROUPS

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows of the folds in their order, then pictures without a label; see `Dataset.samples`."""
        folds: dict[str, list[str]] = {}
        for name in files.names:
            if match := _FOLD.fullmatch(PurePosixPath(name).name):
                folds.setdefault(match[1], []).append(name)
        if not folds:
            raise ValueError(f"no fold_0_data.txt ... fold_4_data.txt is in {files}")
        pictures = Pictures(files, parts=2)
        for fold, copies in sorted(folds.items()):
            table = Table(files, one_of(files, copies), _COLUMNS)
            ages = Ages(files, table, _GROUPS)
            for row in table:
                yield _entry(row, f"fold-{fold}", table.name, pictures, ages)
        yield from pictures.left_over()


def _entry(row: Row, split: str, table: str, pictures: Pictures, ages: Ages) -> Sample | Rejection:
    fields = row.fields
    if row.problem or not (fields["user_id"] and fields["face_id"] and fields["original_image"]):
        problem = row.problem or "no user_id, face_id or original_image"
        return Rejection(pictures.key(f"{table}:{row.line}"), LABEL_UNCLEAR, problem)
    labels = [f"{fields['user_id']}/{prefix}.{fields['face_id']}.{fields['original_image']}" for prefix in _PREFIXES]
    picture = pictures.find(*labels) or labels[0]
    key = pictures.key(picture)
    gender = fields["gender"].lower()
    try:
        age = _SLIPS.get(fields["age"]) or ages.read(fields["age"])
    except ValueError:
        return Rejection(key, LABEL_UNCLEAR, fields["age"])
    if gender not in _GENDERS:
        return Rejection(key, LABEL_UNCLEAR, f"gender {gender}")
    if age is None:
        return Rejection(key, AGE_MISSING, fields["age"])
    return Sample(
        key,
        *age,
        _GENDERS[gender],
        subject=fields["user_id"],
        split=split,
        known_box=_KNOWN_BOX,
        picture=None if key == picture else picture,
    )
