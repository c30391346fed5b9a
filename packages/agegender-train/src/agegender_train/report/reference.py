"""Published figures that a report shows beside its own."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One row of the 2018 project's table.

    Attributes:
        model: the network.
        test_set: the dataset as a report calls it.
        age_mae: years.
        gender_accuracy: share.
    """

    model: str
    test_set: str
    age_mae: float
    gender_accuracy: float


AGENDERNET = (
    Published("InceptionV3 (Agendernet, 2018)", "utkface", 7.36, 0.9018),
    Published("SSR-Net (Agendernet, 2018)", "utkface", 9.58, 0.8508),
    Published("InsightFace (Agendernet, 2018)", "utkface", 7.57, 0.8871),
)
"""Agendernet's own table (2018): on UTKFace, after training on IMDB-WIKI and Adience. Its faces were found and cut by
other means and are another part of the set, so that its figures are not of the same faces as a report's."""
