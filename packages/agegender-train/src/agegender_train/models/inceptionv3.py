"""InceptionV3: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import HEAD_LAYERS, HEADS, RECIPE, build_with_heads
from agegender_train.models._network import Network


def build_inceptionv3(
    input_size: int = 140, weights: str | os.PathLike[str] | None = None, dropout: float = 0.2
) -> keras.Model:
    """InceptionV3 with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 75.
        weights: "imagenet", a file of the trunk's weights, or ``None``.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    if input_size < 75:
        raise ValueError(f"input_size must be at least 75 pixels, got {input_size}")
    return build_with_heads("inceptionv3", keras.applications.InceptionV3, input_size, weights, dropout)


NETWORK = Network(
    name="inceptionv3",
    build=build_inceptionv3,
    input_size=140,
    mean=(127.5, 127.5, 127.5),
    scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
    heads=HEADS,
    head_layers=HEAD_LAYERS,
    recipe=RECIPE,
)
