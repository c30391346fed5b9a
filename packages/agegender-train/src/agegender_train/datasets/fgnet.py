"""FG-NET: person and age stand in the file's name."""

from __future__ import annotations

import re

from agegender_train.datasets.base import NamedPictures


class FGNet(NamedPictures):
    """Photos named ``001A02.JPG``: person 001 at the age of 2, with a letter behind where there are several.

    Photos with surroundings, not crops. The person is the subject; the gender isn't given.
    """

    name = "fgnet"
    title = "FG-NET Aging Database (Lanitis et al., 2002)"
    licence = "research only"
    url = "https://yanweifu.github.io/FG_NET_data/"
    example = "001A02.JPG"
    layout = "pictures named 001A02.JPG (person 001, age 2) in any folder; the landmarks in points/ are not used"
    pattern = re.compile(r"(?P<subject>\d{3})A(?P<age>\d{2})[a-z]?", re.IGNORECASE)
