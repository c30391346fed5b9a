"""UTKFace: the label stands in the file's name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from agegender_train.datasets.base import NamedPictures, Sample

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<middle>[\d_]*?)_?(?P<date>\d{15,})(?!\d)")
_SUFFIX_SLIP = re.compile(r"\d{1,3}_[\d_]*\d{15,} ?\.?(?:jpe?g?|pg)", re.IGNORECASE)  # ...jpg without the dot, .pg
_GENDERS = {"0": 1, "1": 0}  # UTKFace writes 0 for male
_GROUPS = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"}

# Where dlib's detector finds the face in nearly all aligned and cropped pictures that it finds one in.
_CHIP_BOX = (15 / 200, 15 / 200, 194 / 200, 194 / 200)


class UTKFace(NamedPictures):
    """Pictures named ``age_gender_race_date.jpg``, where gender is 0 for male and 1 for female.

    Slips in the names: a nonsense or empty gender or race is taken as missing and the rest is kept. With one field
    between age and date, 0 and 1 are read as the gender (the second field; pictures of the same minutes confirm
    it) and 2 to 4, which no gender can be, as the race. A slip in the suffix is ignored.
    """

    name = "utkface"
    title = "UTKFace (Zhang, Song and Qi, 2017)"
    licence = "non-commercial research only"
    url = "https://susanqq.github.io/UTKFace/"
    example = "age_gender_race_date.jpg"
    layout = "pictures named age_gender_race_date.jpg (in the wild) or .jpg.chip.jpg (aligned and cropped), any folders"

    def is_one(self, name: str) -> bool:
        """Pictures, slips in the suffix included."""
        return super().is_one(name) or _SUFFIX_SLIP.fullmatch(name) is not None

    def read_name(self, key: str) -> Sample | None:
        """Age, gender and ancestry; see `NamedPictures.read_name`."""
        name = PurePosixPath(key).name
        match = _NAME.match(name)
        fields = match["middle"].split("_") if match else []
        if match is None or len(fields) > 2:
            return None
        age = int(match["age"])
        if len(fields) == 1:
            fields = [fields[0], ""] if fields[0] in _GENDERS else ["", fields[0]]
        gender, group = fields
        known_box = _CHIP_BOX if ".chip." in name else None
        return Sample(key, age, age, _GENDERS.get(gender), _GROUPS.get(group), known_box=known_box)
