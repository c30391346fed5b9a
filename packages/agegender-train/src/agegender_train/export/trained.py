"""A trained network and its description, read from a run folder, a checkpoint or an exported .keras file."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx

from agegender_core.decoding import Decoder
from agegender_core.model_file import (
    Description,
    decoder_of,
    describe,
    from_json,
    from_metadata,
    spec_of,
    with_untrained,
)
from agegender_core.spec import PreprocessSpec
from agegender_train.export.archive import DESCRIPTION_FILE
from agegender_train.models import get_network

Outputs = dict[str, npt.NDArray[np.float32]]
"""A network's outputs for n faces: float32 (n, k) by the output's name."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
        model: the Keras model, from float32 (n, s, s, 3) to a mapping of outputs.
        description: see `agegender_core.model_file`.
    """

    model: Any
    description: Description

    @cached_property
    def spec(self) -> PreprocessSpec:
        """How its faces are preprocessed."""
        return spec_of(self.description)

    @cached_property
    def decoder(self) -> Decoder:
        """Turns its outputs into ages and genders."""
        return decoder_of(self.description)

    def outputs(self, batch: npt.NDArray[np.float32]) -> Outputs:
        """The outputs of the Keras model for preprocessed faces."""
        found = self.model.predict_on_batch(batch)
        return {name: np.asarray(values, np.float32) for name, values in found.items()}


def read_trained(path: str | os.PathLike[str]) -> Trained:
    """The network of a run.

    Args:
        path: a run folder, whose best weights are taken; a checkpoint in one; or a ``.keras`` file that `export_run`
            wrote.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is no run, or a run without weights, or one whose description is incomplete.
    """
    path = Path(path)
    if path.is_dir():
        run, weights = path, path / "checkpoints" / "best.keras"
        if not (run / "config.json").is_file():
            raise ValueError(f"{run} is no run of agegender train: it has no config.json")
        if not weights.is_file():
            raise ValueError(f"{run} has no weights yet: {weights.name} comes with the first epoch's end")
        return Trained(_load(weights), _describe(run, weights.stem))
    if not path.is_file():
        raise FileNotFoundError(f"no run folder and no .keras file at {path}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no run folder and no .keras file of one")
    with zipfile.ZipFile(path) as archive:
        if DESCRIPTION_FILE in archive.namelist():
            return Trained(_load(path), from_json(archive.read(DESCRIPTION_FILE)))
    run = path.absolute().parent.parent
    if path.absolute().parent.name != "checkpoints" or not (run / "config.json").is_file():
        raise ValueError(f"{path} is not in the checkpoints folder of a run, so its config.json can't be found")
    return Trained(_load(path), _describe(run, path.stem))


def _load(path: Path) -> Any:
    return keras.saving.load_model(path, compile=False)


def _describe(run: Path, checkpoint: str) -> dict[str, str]:
    """The description of a checkpoint, from the run's model file, or while there is none from its configuration."""
    config = json.loads((run / "config.json").read_bytes())
    if (run / "model.onnx").is_file():
        properties = onnx.load(run / "model.onnx", load_external_data=False).metadata_props
        described = from_metadata({item.key: item.value for item in properties})
        # Its figures are those of the best weights.
        return described if checkpoint == "best" else {**described, "metrics": "[]"}
    settings, network = config["settings"], get_network(config["settings"]["model"])
    if network.heads["age"]["decode"] == "years":
        raise ValueError(
            f"{run} isn't finished: it has no model.onnx, which holds the error of {network.name}'s ages; "
            "the same agegender train command resumes it"
        )
    training = {
        "data": [f"{store['name']} ({store['faces']} faces)" for store in config["data"]],
        "n": config["faces"]["training"],
        "epochs": settings["epochs"],
        "finished": False,
        "seed": settings["seed"],
        "git": config["git"],
    }
    return describe(
        name=network.name,
        spec=PreprocessSpec.from_json(json.dumps(config["spec"])),
        heads=with_untrained(network.heads, config.get("untrained", ())),
        training=training,
        metrics=[],
        licence=settings["licence"],
    )
