"""The state of a training that was stopped: all that its next step depends on, in one file that is whole or not there.

Batches are no part of it: each is a function of the seed and its number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from keras import ops

from agegender_core.files import replacing

_GROUPS = ("model", "optimizer", "metrics")


@dataclass
class Standing:
    """How far a training is.

    Attributes:
        epoch: number of whole epochs.
        step: number of batches after them.
        seconds: time that these took.
        best: the best epoch's value of `Settings.best_by`, an accuracy's negated; ``None`` before there is one.
        best_epoch: counted from 1; 0 before there is one.
        rows: of history.csv, one for each whole epoch.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


class SavedState:
    """The arrays of a model in training and its standing, as read from a file; each group can be restored once.

    Raises:
        OSError: the file is there but can't be read as such.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
                known = {name.name for name in fields(Standing)}
                told = json.loads(str(file["standing"]))
                self.standing = Standing(**{name: told[name] for name in known})
                self._arrays = {name: file[name] for name in file.files if name != "standing"}
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise OSError(f"{path} doesn't hold the state of a training: {error}") from error

    def restore(self, model: Any, optimizer: bool = True) -> None:
        """Gives `model` its variables, those of dropout's seeds among them, and on demand those of its optimizer.

        Raises:
            OSError: the file is of another network or optimizer.
        """
        self._assign("model", model.variables)
        if optimizer:
            self._assign("optimizer", model.optimizer.variables)

    def restore_metrics(self, model: Any) -> None:
        """Gives `model` the sums of its running means, such as that of the loss since the epoch began."""
        self._assign("metrics", model.metrics_variables)

    def _assign(self, group: str, variables: Sequence[Any]) -> None:
        names = sorted(name for name in self._arrays if name.startswith(f"{group}-"))
        kept = [self._arrays.pop(name) for name in names]  # used once, and large
        if [value.shape for value in kept] != [tuple(variable.shape) for variable in variables]:
            raise OSError(f"{self._path} holds the state of another {group}: {len(kept)} arrays for {len(variables)}")
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(ops.convert_to_tensor(value, dtype=variable.dtype))


def save_state(path: Path, standing: Standing, model: Any) -> None:
    """Writes the file that `SavedState` reads, over an earlier one."""
    arrays: dict[str, Any] = {"standing": np.array(json.dumps(asdict(standing)))}
    groups = (model.variables, model.optimizer.variables, model.metrics_variables)
    for group, variables in zip(_GROUPS, groups, strict=True):
        for number, variable in enumerate(variables):
            arrays[f"{group}-{number:05}"] = np.asarray(ops.convert_to_numpy(variable))
    with replacing(path, sync=True) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)
