"""A network for tests of training itself: so small that it is traced and trained in a moment; SSR-Net's heads."""

from __future__ import annotations

import keras
from keras import layers

from agegender_train.models import Network
from agegender_train.models._norm import BatchNormalization


def build_tiny(input_size: int = 64, width: float = 1.0) -> keras.Model:
    image = keras.Input((input_size, input_size, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(image)
    x = BatchNormalization(name="norm")(x)
    x = layers.Dense(round(16 * width), activation="relu", name="hidden")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    part = layers.Dense(1, activation="sigmoid", name="age_part", dtype="float32")(x)
    age = layers.Rescaling(100.0, name="age", dtype="float32")(part)
    p_male = layers.Dense(1, activation="sigmoid", name="p_male", dtype="float32")(x)
    return keras.Model(image, {"age": age, "p_male": p_male}, name="tiny")


NETWORK = Network(
    name="tiny",
    build=build_tiny,
    input_size=64,
    mean=(127.5, 127.5, 127.5),
    scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
    head_layers=("age_part", "age", "p_male"),
    heads={
        "age": {"output": "age", "decode": "years"},
        "gender": {"output": "p_male", "decode": "probability"},
    },
)
