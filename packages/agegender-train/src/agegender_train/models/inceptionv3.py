"""InceptionV3: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016."""

from __future__ import annotations

import os

import keras

from agegender_train.models._backbone import build_with_heads, pretrained


def build_inceptionv3(
    input_size: int = 140, weights: str | os.PathLike[str] | None = None, dropout: float = 0.2
) -> keras.Model:
    """InceptionV3 with a softmax over the ages 0..100 and one over two genders.

    Args:
        input_size: side of the input in pixels, at least 75.
        weights: "imagenet", a file of the trunk's weights, or ``None`` for random weights.
        dropout: part of the features that is left out in training.

    Returns:
        See `build_with_heads`.
    """
    return build_with_heads("inceptionv3", keras.applications.InceptionV3, input_size, weights, dropout, smallest=75)


NETWORK = pretrained("inceptionv3", build_inceptionv3, input_size=140)
