"""SSR-Net: Yang et al., "SSR-Net: A Compact Soft Stagewise Regression Network for Age Estimation", IJCAI 2018.

Two streams of small convolutions (ReLU with average pooling; tanh with maximum pooling) are fused at three depths. From
each fusion a stage k predicts three bins: their probabilities p, an offset of each bin's index eta, and a change of
the bins' width delta. The stages refine one another: the bins of a stage divide one bin of the stage before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from agegender_train.models._network import Network
from agegender_train.models._norm import BatchNormalization

AGE_RANGE = 101.0
_RELU, _TANH = "relu", "tanh"


@keras.saving.register_keras_serializable(package="agegender")
class SoftStagewiseRegression(layers.Layer):  # type: ignore[misc]
    """The sum over the stages of their expected bins (equations 4 to 9 of the paper), without weights.

    With bins s_k, width offsets delta_k, index offsets eta_k and probabilities p_k of the stages k = 1..K, it gives
    `value_range * sum_k (sum_i p_ki (i + lambda_index eta_ki)) / prod_{j<=k} s_j (1 + lambda_width delta_j)`.

    Takes the list p_1, delta_1, eta_1, p_2, ... of float (n, s_k), (n, 1), (n, s_k); gives float (n, 1).

    Args:
        stages: number of bins of each stage, the coarsest first.
        value_range: V, the range of values: 101 for years, 1 for the probability of male.
        lambda_index: weight of the bins' index offsets.
        lambda_width: weight of the stages' width offsets.
    """

    def __init__(
        self,
        stages: Sequence[int] = (3, 3, 3),
        value_range: float = AGE_RANGE,
        lambda_index: float = 1.0,
        lambda_width: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.stages = tuple(int(bins) for bins in stages)
        self.value_range = float(value_range)
        self.lambda_index = float(lambda_index)
        self.lambda_width = float(lambda_width)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Equation 4 with the terms of equations 5 to 9; shapes as the class says."""
        if len(inputs) != 3 * len(self.stages):
            raise ValueError(f"inputs must be p, delta, eta of {len(self.stages)} stages, got {len(inputs)} tensors")
        total: Any = 0.0
        bin_count: Any = 1.0
        for stage, bins in enumerate(self.stages):
            p, delta, eta = inputs[3 * stage : 3 * stage + 3]
            index = keras.ops.arange(bins, dtype=p.dtype) + self.lambda_index * eta
            bin_count = bin_count * (bins * (1.0 + self.lambda_width * delta))
            total = total + keras.ops.sum(p * index, axis=-1, keepdims=True) / bin_count
        return self.value_range * total

    def compute_output_shape(self, input_shape: Sequence[Sequence[int | None]]) -> tuple[int | None, int]:
        """(n, 1)."""
        return (input_shape[0][0], 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "stages": self.stages,
            "value_range": self.value_range,
            "lambda_index": self.lambda_index,
            "lambda_width": self.lambda_width,
        }


def _stream(image: Any, name: str, channels: int, activation: str, pool: type[Any]) -> list[Any]:
    """The four blocks of a stream: their outputs, pooled but for the last one."""
    outputs, x = [], image
    for block in range(1, 5):
        x = layers.Conv2D(channels, 3, name=f"{name}_conv{block}")(x)
        x = BatchNormalization(name=f"{name}_bn{block}")(x)
        x = layers.Activation(activation, name=f"{name}_{activation}{block}")(x)
        if block < 4:
            x = pool(2, name=f"{name}_pool{block}")(x)
        outputs.append(x)
    return outputs


def _fused(x: Any, name: str, mixed: int, pool: type[Any] | None, size: int, channels: int) -> tuple[Any, Any]:
    """One stream's part of a stage: the flat features for delta, and their mix for p and eta."""
    x = layers.Conv2D(channels, 1, activation=_RELU, name=f"{name}_conv")(x)
    if pool is not None:
        x = pool(size, name=f"{name}_pool")(x)
    flat = layers.Flatten(name=f"{name}_flatten")(x)
    mix = layers.Dropout(0.2, name=f"{name}_dropout")(flat)
    return flat, layers.Dense(mixed, activation=_RELU, bias_initializer="ones", name=f"{name}_mix")(mix)


def _stage(
    streams: Sequence[tuple[Any, type[Any] | None]], name: str, bins: int, mixed: int, size: int, channels: int
) -> list[Any]:
    """The fusion and prediction blocks of one stage: p, delta and eta."""
    parts = [
        _fused(x, f"{name}_stream{number}", mixed, pool, size, channels) for number, (x, pool) in enumerate(streams, 1)
    ]
    # Started near their constants, the stages give values near the middle of the range, and nothing divides by a width
    # near zero. A stage whose three p are all at zero for every face can never learn again: they start well above.
    small = keras.initializers.RandomNormal(stddev=0.01)
    delta = layers.Multiply(name=f"{name}_fused")([flat for flat, _ in parts])
    delta = layers.Dense(1, activation=_TANH, kernel_initializer=small, name=f"{name}_delta")(delta)
    mix = layers.Multiply(name=f"{name}_mixed")([mix for _, mix in parts])
    mix = layers.Dense(max(2 * bins, mixed // 2), activation=_RELU, bias_initializer="ones", name=f"{name}_hidden")(mix)
    even = keras.initializers.Constant(1 / bins)
    p = layers.Dense(bins, activation=_RELU, kernel_initializer=small, bias_initializer=even, name=f"{name}_p")(mix)
    eta = layers.Dense(bins, activation=_TANH, kernel_initializer=small, name=f"{name}_eta")(mix)
    return [p, delta, eta]


def build_ssrnet(
    input_size: int = 64,
    heads: Sequence[str] = ("age", "p_male"),
    stages: Sequence[int] = (3, 3, 3),
    width: float = 1.0,
    mix: int | None = None,
    lambda_index: float = 1.0,
    lambda_width: float = 1.0,
) -> keras.Model:
    """SSR-Net with shared streams and a soft-stagewise block for each head.

    Args:
        input_size: side of the input in pixels, at least 50.
        heads: names of the outputs: "age" in years (V = 101), "p_male" (V = 1); one head is the paper's network.
        stages: number of bins of the stages 1 to 3.
        width: multiplies the channels of the streams (32 and 16) and of the fusion (10); 1 is the paper's network.
        mix: numbers that a stage mixes each stream's features into before it multiplies them; ``None`` for one a bin,
            as in the paper. More of them let a head see more of the features, and cost memory but hardly time.
        lambda_index: weight of the bins' index offsets.
        lambda_width: weight of the stages' width offsets.

    Returns:
        A functional model from float (n, input_size, input_size, 3) to a dict of float (n, 1), one for each head.

    Raises:
        ValueError: an unknown head, a wrong number of stages, a width or size that leaves nothing to compute on.
    """
    ranges = {"age": AGE_RANGE, "p_male": 1.0}
    if not heads or any(head not in ranges for head in heads):
        raise ValueError(f"heads must be some of {', '.join(ranges)}, got {tuple(heads)}")
    if len(stages) != 3:
        raise ValueError(f"stages must name the bins of 3 stages, got {tuple(stages)}")
    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}")
    if mix is not None and mix < 1:
        raise ValueError(f"mix must be at least 1, got {mix}")
    if input_size < 50:
        raise ValueError(f"input_size must be at least 50 pixels, got {input_size}")

    def channels(count: int) -> int:
        return max(1, round(count * width))

    image = keras.Input((input_size, input_size, 3), name="input")
    average, maximum = layers.AveragePooling2D, layers.MaxPooling2D
    stream1 = _stream(image, "stream1", channels(32), _RELU, average)
    stream2 = _stream(image, "stream2", channels(16), _TANH, maximum)

    outputs = {}
    for head in heads:
        terms = []
        # The first stage, the coarsest, reads the deepest features (figure 2 of the paper).
        for number, (depth, size) in enumerate(((3, 0), (1, 4), (0, 8)), 1):
            pools = (average, maximum) if size else (None, None)
            pairs = [(stream1[depth], pools[0]), (stream2[depth], pools[1])]
            bins = stages[number - 1]
            terms += _stage(pairs, f"{head}_stage{number}", bins, mix or bins, size, channels(10))
        # In float32 whatever the policy of the rest: years to two decimals are more than 16 bits.
        offsets = {"lambda_index": lambda_index, "lambda_width": lambda_width}
        regression = SoftStagewiseRegression(stages, ranges[head], **offsets, dtype="float32", name=head)
        outputs[head] = regression(terms)
    return keras.Model(image, outputs, name="ssrnet")


NETWORK = Network(
    name="ssrnet",
    build=build_ssrnet,
    input_size=64,
    mean=(127.5, 127.5, 127.5),
    scale=(1 / 127.5, 1 / 127.5, 1 / 127.5),
    heads={
        "age": {"output": "age", "decode": "years"},
        "gender": {"output": "p_male", "decode": "probability"},
    },
)
