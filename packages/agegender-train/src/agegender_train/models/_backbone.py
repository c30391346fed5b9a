"""Networks of `keras.applications` as trunks: without their classifier, with two softmax heads instead."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
from keras import layers

from agegender_train.models._network import Network
from agegender_train.models._norm import BatchNormalization
from agegender_train.store.labels import MAX_AGE

AGES = MAX_AGE + 1
HEAD_LAYERS = ("features", "dropout", "age", "gender")
"""The layers after the trunk; in the first phase of a training only they learn."""

HEADS = MappingProxyType(
    {
        "age": {"output": "age", "decode": "expected"},
        "gender": {"output": "gender", "decode": "softmax"},
    }
)

RECIPE = MappingProxyType(
    {
        "weights": "imagenet",
        "frozen_epochs": 1,
        "learning_rate": 1e-3,
        "age_loss": "cross-entropy",
        "age_loss_options": {"smoothness": 10.0},
        "age_weight": 1.0,
    }
)


def build_with_heads(
    name: str,
    application: Callable[..., keras.Model],
    input_size: int,
    weights: str | os.PathLike[str] | None,
    dropout: float,
    smallest: int,
    **options: Any,
) -> keras.Model:
    """A network of `keras.applications` with global average pooling, a softmax over 101 ages and one over two genders.

    Args:
        name: of the model.
        application: the function of `keras.applications` that builds the trunk.
        input_size: side of the input in pixels.
        weights: "imagenet", which Keras downloads; a file of the trunk's weights like that download; or ``None`` for
            random weights.
        dropout: part of the features that is left out in training, in [0, 1).
        smallest: smallest input that the trunk can take, pixels.
        options: more arguments of `application`, such as `alpha`, which multiplies the channels, in (0, 4].

    Returns:
        A functional model from float (n, input_size, input_size, 3) to "age" float (n, 101) and "gender" float (n, 2),
        female and male; rows sum to 1.

    Raises:
        ValueError: a value is out of its range, or the file holds other weights.
        FileNotFoundError: there is no such file.
        OSError: ImageNet's weights can't be downloaded.
    """
    check_options(input_size, smallest, options.get("alpha", 1), dropout)
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise FileNotFoundError(f"no file with weights at {weights}")
    try:
        # Keras tells on stdout how far a download is: that belongs beside our own progress.
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            # Where a file lacks layers, Keras only warns and leaves them random.
            warnings.filterwarnings("error", message="Skipping")
            # Weights of 224 pixels fit any size: nothing but convolutions is taken.
            warnings.filterwarnings("ignore", message=r"`input_shape` is undefined or non-square")
            trunk = application(
                include_top=False,
                weights=None if weights is None else str(weights),
                input_tensor=keras.Input((input_size, input_size, 3), name="input"),
                **options,
            )
    except (ValueError, UserWarning) as error:
        if weights in (None, "imagenet"):
            raise
        raise ValueError(f"{weights} doesn't hold the weights of {name}'s trunk: {error}") from error
    except Exception as error:
        # Keras's downloads fail with a bare Exception, or with whatever the connection raises.
        if weights != "imagenet":
            raise
        failed = OSError(f"ImageNet's weights for {name} can't be downloaded: {error}")
        failed.add_note("--weights FILE takes them from a file that was downloaded elsewhere")
        failed.add_note("--weights none starts from random weights, which needs many more epochs")
        raise failed from None
    trunk = _ours(trunk)
    return with_heads(name, trunk.input, trunk.output, dropout)


def check_options(input_size: int, smallest: int, alpha: float, dropout: float) -> None:
    """Raises ValueError if an argument of a network with a trunk is out of its range; see `build_with_heads`."""
    if input_size < smallest:
        raise ValueError(f"input_size must be at least {smallest} pixels, got {input_size}")
    if not 0 < alpha <= 4:
        raise ValueError(f"alpha must be in (0, 4], got {alpha}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")


def with_heads(name: str, image: Any, features: Any, dropout: float) -> keras.Model:
    """The model from `image` to the two heads, on a trunk that gives `features` float (n, h, w, c)."""
    x = layers.GlobalAveragePooling2D(name=HEAD_LAYERS[0])(features)
    x = layers.Dropout(dropout, name=HEAD_LAYERS[1])(x)
    # In float32 whatever the policy of the rest: probabilities of 101 ages are small numbers.
    outputs = {
        "age": layers.Dense(AGES, activation="softmax", dtype="float32", name="age")(x),
        "gender": layers.Dense(2, activation="softmax", dtype="float32", name="gender")(x),
    }
    return keras.Model(image, outputs, name=name)


def pretrained(name: str, build: Callable[..., keras.Model], input_size: int) -> Network:
    """A network that `build_with_heads` builds, with the normalisation of ImageNet's weights and our recipe."""
    return Network(
        name=name,
        build=build,
        input_size=input_size,
        mean=(127.5, 127.5, 127.5),
        scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
        heads=HEADS,
        head_layers=HEAD_LAYERS,
        recipe=RECIPE,
    )


def _ours(trunk: keras.Model) -> keras.Model:
    """The same layers with our batch normalisation, and with names that don't depend on what was built earlier."""
    counts: dict[str, int] = {}

    def cloned(layer: Any) -> Any:
        config = layer.get_config()
        config["name"] = _stable_name(layer, counts)
        kind = BatchNormalization if isinstance(layer, layers.BatchNormalization) else type(layer)
        return kind.from_config(config)

    copy = keras.models.clone_model(trunk, clone_function=cloned)
    copy.set_weights(trunk.get_weights())
    return copy


def _stable_name(layer: Any, counts: dict[str, int]) -> str:
    """The layer's name; one that Keras derived from its class is numbered anew, from 1."""
    kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)).lower()
    if not re.fullmatch(rf"{kind}(_\d+)?", layer.name):
        return str(layer.name)
    counts[kind] = counts.get(kind, 0) + 1
    return f"{kind}_{counts[kind]}"
