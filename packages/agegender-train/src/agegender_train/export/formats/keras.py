"""Keras: the weights without the optimizer, with their description inside the archive, which Keras doesn't mind."""

from __future__ import annotations

from pathlib import Path

from agegender_train.export.archive import add_description, without_times
from agegender_train.export.formats._format import Batch, Format
from agegender_train.export.trained import Trained, read_trained


def _write(trained: Trained, path: Path, precision: str, faces: Batch | None) -> None:
    trained.model.save(path)
    without_times(path)
    add_description(path, trained.description)


FORMAT = Format("keras", ".keras", ("fp32",), _write, lambda path: read_trained(path).outputs)
