"""The description of a model in a file that is a ZIP archive, or that has one behind it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from agegender_core.model_file import Description, to_json

DESCRIPTION_FILE = "agegender.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""An archive with the time in it would be another one at each export."""


def add_description(path: Path, description: Description) -> None:
    """Puts `description` as `DESCRIPTION_FILE` into an archive behind what the file holds.

    A FlatBuffer is read from its front and an archive from its end, so that a file can be both: TensorFlow Lite's own
    metadata tools put a model's labels there.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(DESCRIPTION_FILE, _NO_TIME), to_json(description))


def without_times(path: Path) -> None:
    """Takes the times out of a ``.keras`` archive: those of its members, and the one at which it was saved."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps({**metadata, "date_saved": ""}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
