"""MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import HEAD_LAYERS, HEADS, RECIPE, build_with_heads
from agegender_train.models._network import Network


def build_mobilenetv2(
    input_size: int = 96,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
) -> keras.Model:
    """MobileNetV2 with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", a file of the trunk's weights, or ``None``.
        alpha: multiplies the channels; Keras has ImageNet's weights for 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    if input_size < 32:
        raise ValueError(f"input_size must be at least 32 pixels, got {input_size}")
    if not 0 < alpha <= 4:
        raise ValueError(f"alpha must be in (0, 4], got {alpha}")
    return build_with_heads("mobilenetv2", keras.applications.MobileNetV2, input_size, weights, dropout, alpha=alpha)


NETWORK = Network(
    name="mobilenetv2",
    build=build_mobilenetv2,
    input_size=96,
    mean=(127.5, 127.5, 127.5),
    scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
    heads=HEADS,
    head_layers=HEAD_LAYERS,
    recipe=RECIPE,
)
