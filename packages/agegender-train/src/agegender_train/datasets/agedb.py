"""AgeDB: name, age and gender stand in the file's name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from agegender_train.datasets.base import NamedPictures, Sample

_NAME = re.compile(r"[0-9]+_(?P<subject>.*[^_])_(?P<age>[0-9]{1,3})_(?P<gender>[mf])", re.IGNORECASE | re.DOTALL)
_GENDERS = {"m": 1, "f": 0}


class AgeDB(NamedPictures):
    """16,488 photos of 568 people, named ``0_MariaCallas_35_f.jpg``; the person is the subject."""

    name = "agedb"
    title = "AgeDB (Moschoglou et al., 2017)"
    licence = "non-commercial research only"
    url = "https://ibug.doc.ic.ac.uk/resources/agedb/"
    example = "0_MariaCallas_35_f.jpg"
    layout = "pictures named 0_MariaCallas_35_f.jpg (number, name, age, m or f) in any folders"

    def read_name(self, key: str) -> Sample | None:
        """Person, age and gender; see `NamedPictures.read_name`."""
        match = _NAME.fullmatch(PurePosixPath(key).stem)
        if match is None:
            return None
        age = int(match["age"])
        return Sample(key, age, age, _GENDERS[match["gender"].lower()], subject=match["subject"])
