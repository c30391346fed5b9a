"""The networks, one file each: a file `<name>.py` here that defines `NETWORK` is a network that can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agegender_core.model_file import from_metadata, value_of
from agegender_core.predict import Predictor, load_predictor, model_names
from agegender_core.spelling import with_near_names
from agegender_train.models._network import Network
from agegender_train.registry import load_part, part_names
from agegender_train.runs.settings import Settings

__all__ = ["Network", "build_model", "get_network", "model_to_start_from", "network_names", "recommended"]


def network_names() -> list[str]:
    """The names of all networks, sorted; imports none of them."""
    return part_names(__path__)


def get_network(name: str) -> Network:
    """The network called `name`.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    network: Network = load_part(__name__, __path__, name, "model").NETWORK
    return network


def build_model(name: str, *, input_size: int | None = None, **options: Any) -> Any:
    """Build the network called `name` as a `keras.Model` with fresh weights.

    Args:
        name: one of `network_names()`.
        input_size: side of the input in pixels; the network's own when ``None``.
        options: the network's own arguments, such as `width` of `ssrnet`.

    Raises:
        ValueError: an unknown name, or an option's value that the network refuses.
    """
    network = get_network(name)
    return network.build(input_size=input_size or network.input_size, **options)


def recommended(model: str | None = None, **asked: Any) -> Settings:
    """Settings for training a network: the network's recipe, overridden by what is asked.

    A training that starts from a model file takes its network, input and margin, lets all layers learn from the first
    epoch, and does so at a tenth of the network's learning rate.

    Args:
        model: one of `network_names()`; ``None`` for that of the model file, or for "ssrnet".
        asked: attributes of `Settings`.

    Raises:
        ValueError: an unknown name, a setting that is out of its range, or a file to start from that is no model file.
        FileNotFoundError: there is no such file.
    """
    start = model_to_start_from(asked.get("weights", ""))
    if start and model not in (None, start.name):
        raise ValueError(f"{asked['weights']} has the weights of {start.name}, not of {model}")
    model = model or (start.name if start else Settings.model)
    recipe = dict(get_network(model).recipe)
    if start:
        recipe |= {
            "model_options": {**_options_of(start), **asked.pop("model_options", {})},
            "input_size": start.spec.input_size,
            "margin": start.spec.margin,
            "frozen_epochs": 0,
            "learning_rate": recipe.get("learning_rate", Settings.learning_rate) / 10,
        }
    settings = {**recipe, **asked}
    epochs = settings.get("epochs", Settings.epochs)
    if "frozen_epochs" not in asked and settings.get("frozen_epochs", 0) >= epochs:
        settings["frozen_epochs"] = 0  # too short a training for two phases
    return Settings(model=model, **settings)


def _options_of(model: Predictor) -> dict[str, Any]:
    """The network's own arguments that a model file says; files of earlier versions say none."""
    options: dict[str, Any] = (value_of(from_metadata(model.metadata), "training") or {}).get("model_options", {})
    return options


def model_to_start_from(weights: str) -> Predictor | None:
    """The model that `Settings.weights` names: a model file, or one that comes with agegender_core.

    ``None``: it names something else.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model file.
    """
    if weights in ("", "none", "imagenet") or (Path(weights).exists() and Path(weights).suffix != ".onnx"):
        return None
    if not Path(weights).exists() and weights not in model_names():
        missing = FileNotFoundError(f"no file with weights at {weights}")
        raise with_near_names(missing, weights, ["imagenet", "none", *model_names()])
    return load_predictor(weights)
