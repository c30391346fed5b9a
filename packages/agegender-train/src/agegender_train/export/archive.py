"""The description of a model in a file that is a ZIP archive, or that ends with one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from agegender_core.model_file import Description, to_json

DESCRIPTION_FILE = "agegender.json"
NO_TIME = (1980, 1, 1, 0, 0, 0)
"""With the current time in it, an archive would differ at each export."""


def add_description(path: Path, description: Description) -> None:
    """Adds `description` as `DESCRIPTION_FILE` to a ZIP archive, or appends an archive with it to another file.

    A FlatBuffer is read from its front and an archive from its end, so a file can be both: TensorFlow Lite's own
    metadata tools store a model's labels like this.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(DESCRIPTION_FILE, NO_TIME), to_json(description))
