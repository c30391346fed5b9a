"""A training that starts where another one ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras


def start_from(model: Any, path: Path) -> Any:
    """Gives `model` the weights of a finished training, heads and all, and returns it.

    Args:
        model: as its network builds it.
        path: a checkpoint, such as ``RUN/checkpoints/best.keras``, of the same network with the same options.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such checkpoint, or one of another network; the message says where they differ.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file with weights at {path}")
    try:
        other = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras raises whatever its readers of zip, JSON and HDF5 do.
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
