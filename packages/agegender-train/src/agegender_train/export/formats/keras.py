"""Keras: the weights without the optimizer, and the description as a file in the archive, which Keras ignores."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from agegender_train.export.archive import NO_TIME, add_description
from agegender_train.export.formats._format import Format, Inputs
from agegender_train.export.trained import Trained, read_trained


def _write(trained: Trained, path: Path, precision: str, faces: Inputs | None) -> None:
    trained.model.save(path)
    _without_times(path)
    add_description(path, trained.description)


def _without_times(path: Path) -> None:
    """Removes the times from a ``.keras`` archive: those of its members, and the one at which it was saved."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps({**metadata, "date_saved": ""}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, NO_TIME), content)


FORMAT = Format("keras", ".keras", ("fp32",), _write, lambda path: read_trained(path).outputs)
