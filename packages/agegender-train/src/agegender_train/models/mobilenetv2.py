"""MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import build_with_heads, pretrained


def build_mobilenetv2(
    input_size: int = 96,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
) -> keras.Model:
    """MobileNetV2 with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", a file of the trunk's weights, or ``None`` for random weights.
        alpha: multiplies the channels; Keras has ImageNet's weights for 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    return build_with_heads(
        "mobilenetv2", keras.applications.MobileNetV2, input_size, weights, dropout, smallest=32, alpha=alpha
    )


NETWORK = pretrained("mobilenetv2", build_mobilenetv2, input_size=96)
