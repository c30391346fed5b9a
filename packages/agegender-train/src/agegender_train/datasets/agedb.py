"""AgeDB: name, age and gender stand in the file's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from agegender_train.datasets.base import NamedPictures


class AgeDB(NamedPictures):
    """16,488 photos of 568 people, named ``0_MariaCallas_35_f.jpg``; the person is the subject."""

    name = "agedb"
    title = "AgeDB (Moschoglou et al., 2017)"
    licence = "non-commercial research only"
    url = "https://ibug.doc.ic.ac.uk/resources/agedb/"
    example = "0_MariaCallas_35_f.jpg"
    layout = "pictures named 0_MariaCallas_35_f.jpg (number, name, age, m or f) in any folders"
    pattern = re.compile(r"[0-9]+_(?P<subject>.*[^_])_(?P<age>[0-9]{1,3})_(?P<gender>[mf])", re.IGNORECASE | re.DOTALL)
    genders: ClassVar[Mapping[str, int]] = {"m": 1, "f": 0}
