"""The networks, one file each: a file `<name>.py` here that defines `NETWORK` is a network that can be trained."""

from __future__ import annotations

from typing import Any

from agegender_train.models._network import Network
from agegender_train.registry import load_part, part_names
from agegender_train.runs.settings import Settings

__all__ = ["Network", "build_model", "get_network", "network_names", "recommended"]


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


def recommended(model: str, **asked: Any) -> Settings:
    """Settings for training a network: the network's recipe, overridden by what is asked.

    Args:
        model: one of `network_names()`.
        asked: attributes of `Settings`.

    Raises:
        ValueError: an unknown name, or a setting that is out of its range.
    """
    settings = {**get_network(model).recipe, **asked}
    epochs = settings.get("epochs", Settings.epochs)
    if "frozen_epochs" not in asked and settings.get("frozen_epochs", 0) >= epochs:
        settings["frozen_epochs"] = 0  # too short a training for two phases
    return Settings(model=model, **settings)
