"""MobileNetV3-Large: Howard et al., "Searching for MobileNetV3", ICCV 2019."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import build_with_heads, pretrained


def build_mobilenetv3(
    input_size: int = 96,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
) -> keras.Model:
    """MobileNetV3-Large with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", a file of the trunk's weights, or ``None`` for random weights.
        alpha: multiplies the channels; Keras has ImageNet's weights for 0.75 and 1.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    options = {"alpha": alpha, "include_preprocessing": False}
    application = keras.applications.MobileNetV3Large
    return build_with_heads("mobilenetv3", application, input_size, weights, dropout, smallest=32, **options)


NETWORK = pretrained("mobilenetv3", build_mobilenetv3, input_size=96)
