"""MobileNetV3-Large: Howard et al., "Searching for MobileNetV3", ICCV 2019."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import HEAD_LAYERS, HEADS, RECIPE, build_with_heads
from agegender_train.models._network import Network


def build_mobilenetv3(
    input_size: int = 96,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
) -> keras.Model:
    """MobileNetV3-Large with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", a file of the trunk's weights, or ``None``.
        alpha: multiplies the channels; Keras has ImageNet's weights for 0.75 and 1.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    if input_size < 32:
        raise ValueError(f"input_size must be at least 32 pixels, got {input_size}")
    if not 0 < alpha <= 4:
        raise ValueError(f"alpha must be in (0, 4], got {alpha}")
    application = keras.applications.MobileNetV3Large
    return build_with_heads(
        "mobilenetv3", application, input_size, weights, dropout, alpha=alpha, include_preprocessing=False
    )


NETWORK = Network(
    name="mobilenetv3",
    build=build_mobilenetv3,
    input_size=96,
    mean=(127.5, 127.5, 127.5),
    scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
    heads=HEADS,
    head_layers=HEAD_LAYERS,
    recipe=RECIPE,
)
