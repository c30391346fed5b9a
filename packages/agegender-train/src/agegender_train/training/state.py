"""What a training starts from: the saved state of one that was stopped, or the weights of a finished one.

The state is all that the next step depends on, in one file that is whole or absent. Batches are no part of it: each is
a function of the seed and its number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import keras
import numpy as np
from keras import ops

from agegender_core.files import replacing
from agegender_core.model_file import from_json, heads_of, untrained_heads
from agegender_train.export.archive import DESCRIPTION_FILE

_STATUS = "standing"
"""Name of the `Status` in the file; older versions called it that."""
_GROUPS = ("model", "optimizer", "metrics")


@dataclass
class Status:
    """How far a training is.

    Attributes:
        epoch: number of complete epochs.
        step: number of batches after these epochs.
        seconds: time that these batches took.
        best: the best epoch's value of `Settings.best_by`, negated for an accuracy; ``None`` before there is one.
        best_epoch: number of the best epoch, from 1; 0 before there is one.
        rows: of history.csv, one for each complete epoch.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


class SavedState:
    """The status and the arrays of a model in training, read from a file; each group of arrays can be restored once.

    Raises:
        OSError: the file can't be read, or holds no state of a training.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
                saved = json.loads(str(file[_STATUS]))
                self.status = Status(**{field.name: saved[field.name] for field in fields(Status)})
                self._arrays = {name: file[name] for name in file.files if name != _STATUS}
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise OSError(f"{path} doesn't hold the state of a training: {error}") from error

    def restore(self, model: Any, optimizer: bool = True) -> None:
        """Sets the variables of `model`, the states of dropout's seeds included, and on demand those of its optimizer.

        Raises:
            OSError: the file is of another network or optimizer.
        """
        self._assign("model", model.variables)
        if optimizer:
            self._assign("optimizer", model.optimizer.variables)

    def restore_metrics(self, model: Any) -> None:
        """Sets the sums of `model`'s running means, such as that of the loss since the epoch began."""
        self._assign("metrics", model.metrics_variables)

    def _assign(self, group: str, variables: Sequence[Any]) -> None:
        names = sorted(name for name in self._arrays if name.startswith(f"{group}-"))
        values = [self._arrays.pop(name) for name in names]  # used once, and large
        if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
            raise OSError(
                f"{self._path} holds the state of another {group}: the shapes of {len(values)} arrays are not those of "
                f"{len(variables)} variables"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(ops.convert_to_tensor(value, dtype=variable.dtype))


def save_state(path: Path, status: Status, model: Any) -> None:
    """Writes the file that `SavedState` reads, over an earlier one.

    Raises:
        OSError: it can't be written; the earlier one stays.
    """
    arrays: dict[str, Any] = {_STATUS: np.array(json.dumps(asdict(status)))}
    groups = (model.variables, model.optimizer.variables, model.metrics_variables)
    for group, variables in zip(_GROUPS, groups, strict=True):
        for number, variable in enumerate(variables):
            arrays[f"{group}-{number:05}"] = np.asarray(ops.convert_to_numpy(variable))
    with replacing(path, sync=True) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)


def untrained_before(path: Path) -> tuple[str, ...]:
    """Those of "age" and "gender" that the training of a checkpoint had no labels for; none where it doesn't say."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            if DESCRIPTION_FILE in archive.namelist():
                return untrained_heads(heads_of(from_json(archive.read(DESCRIPTION_FILE))))
    config = path.absolute().parent.parent / "config.json"
    return tuple(json.loads(config.read_bytes()).get("untrained", ())) if config.is_file() else ()


def start_from(model: Any, path: Path) -> Any:
    """Sets the weights of `model`, those of its heads included, to those of a finished training; returns `model`.

    Args:
        model: as its network builds it.
        path: a checkpoint of the same network with the same options, such as ``RUN/checkpoints/best.keras``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or one of another network; the message says where they differ.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file with weights at {path}")
    try:
        other = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras passes on whatever the readers of zip, JSON and HDF5 raise.
        raise ValueError(f"{path} can't be read as a checkpoint of a training: {error}") from None
    ours, theirs = ({layer.name: layer for layer in one.layers if layer.weights} for one in (model, other))
    for name, layer in ours.items():
        if name not in theirs:
            raise ValueError(f"{path} is of another network: it has no layer {name}")
        shapes = [[tuple(weight.shape) for weight in one.weights] for one in (layer, theirs[name])]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{path} is of another network: its layer {name} has {shapes[1]}, not {shapes[0]}")
        layer.set_weights(theirs[name].get_weights())
    return model
