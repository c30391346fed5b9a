"""The two phases of transfer learning: the heads first, on a trunk that stays as it is; then the trunk, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from agegender_train.models import Network
from agegender_train.runs.settings import Settings


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers learn.

    Attributes:
        start: number of epochs before it.
        stop: number of epochs at its end.
        layers: names of the layers that learn.
        heads_only: whether the trunk stays as it is.
    """

    start: int
    stop: int
    layers: frozenset[str]
    heads_only: bool

    def apply(self, model: Any) -> None:
        """Makes these layers of `model` learn and no others; batch normalisation that doesn't learn isn't updated."""
        for layer in model.layers:
            layer.trainable = layer.name in self.layers


def plan_phases(model: Any, network: Network, settings: Settings) -> Iterator[Phase]:
    """The phases of a training, one or two.

    Raises:
        ValueError: `settings` ask for frozen epochs of a network without a trunk, or name a layer that there isn't.
    """
    names = [layer.name for layer in model.layers]
    if settings.frozen_epochs and not network.head_layers:
        raise ValueError(f"{network.name} has no trunk to freeze: frozen_epochs must be 0")
    if settings.train_from and settings.train_from not in names:
        near = get_close_matches(settings.train_from, names, 3, 0.4)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise ValueError(f"{network.name} has no layer {settings.train_from!r} to train from{hint}")
    if settings.frozen_epochs:
        yield Phase(0, settings.frozen_epochs, frozenset(network.head_layers), True)
    learning = names[names.index(settings.train_from) :] if settings.train_from else names
    yield Phase(settings.frozen_epochs, settings.epochs, frozenset(learning) | {*network.head_layers}, False)
