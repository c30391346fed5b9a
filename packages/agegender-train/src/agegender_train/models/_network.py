"""The description of a network: all that training and export need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from agegender_core.decoding import Decoder
from agegender_core.model_file import with_untrained


@dataclass(frozen=True)
class Network:
    """A network that can be trained: how to build it and what its input and outputs mean.

    Attributes:
        name: the name that users give, as `ssrnet`; also the name of its file.
        build: makes the Keras model; takes `input_size` in pixels and the network's own keyword arguments.
        input_size: side of the input in pixels that the network was designed for.
        mean: RGB values subtracted from the pixels (0..255).
        scale: RGB factors that the difference is multiplied with.
        heads: for `age` and `gender` the output's name and how it is decoded, as a model file's `agegender.heads`.
        head_layers: names of the layers after the trunk that ImageNet's weights are for; empty without a trunk.
        recipe: recommended `Settings`, where they differ from the defaults.
        heads_in: those of "age" and "gender" that a value of `Settings.weights` brings with the trunk, already trained;
            raises what `build` would raise where there are no such weights.
    """

    name: str
    build: Callable[..., Any]
    input_size: int
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    heads: Mapping[str, Mapping[str, str]]
    head_layers: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    heads_in: Callable[[str], frozenset[str]] = lambda weights: frozenset()

    @property
    def decoder(self) -> Decoder:
        """What makes ages and genders of the model's outputs."""
        return self.decoder_without(())

    def decoder_without(self, untrained: Collection[str]) -> Decoder:
        """The decoder that a model file will be read with.

        Args:
            untrained: those of the heads "age" and "gender" that have learned nothing.
        """
        heads = with_untrained(self.heads, untrained)
        if heads["age"]["decode"] == "years":
            heads["age"].setdefault("std", None)  # of its errors nothing is known before it was measured
        return Decoder(heads)
