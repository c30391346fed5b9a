from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from agegender_core.onnx_runtime import onnxruntime
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx, parity
from agegender_train.export.keras_to_onnx import build_graph
from agegender_train.models import build_model, get_network

IMAGE = (12, 10, 3)


def faces(shape: tuple[int, ...], n: int = 6, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, *shape)).astype(np.float32)


def lively(model: Any, seed: int = 0) -> Any:
    """As after a training: features of about unit variance at any depth, and no weight at its start."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        value, spread = np.asarray(weight), 0.0 if weight.path.endswith("kernel") else 0.1
        weight.assign(value * rng.uniform(0.8, 1.2, value.shape) + rng.normal(0, spread, value.shape))
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    batch = faces(model.input_shape[1:], 16, seed)
    model([batch] if isinstance(model._inputs_struct, list) else batch, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return model


def outputs_of(model: Any, batch: np.ndarray) -> tuple[dict[str, np.ndarray], Counter[str]]:
    """What the ONNX graph gives, and how many nodes of each kind it has."""
    graph = build_graph(model)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(None, {"input": batch})
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, values, strict=True)), Counter(node.op_type for node in graph.graph.node)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenetv2", {}),
        ("mobilenetv2", {"input_size": 75, "alpha": 0.35}),
        ("mobilenetv3", {}),
        ("inceptionv3", {"input_size": 107}),
        ("efficientnetlite2", {"input_size": 75, "alpha": 0.35}),
    ],
)
def test_every_network_gives_what_keras_gives(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    keras.utils.set_random_seed(3)
    network = get_network(name)
    model = lively(build_model(name, **options))
    spec = PreprocessSpec(model.input_shape[1], mean=network.mean, scale=network.scale)
    path = tmp_path / "m.onnx"
    export_onnx(model, path, name=name, spec=spec, heads=network.heads, training={}, metrics=[], licence="")
    batch = faces(model.input_shape[1:])
    # A network that says the same of every face would agree with anything.
    assert all(np.ptp(value, axis=0).max() > 0.02 for value in model.predict_on_batch(batch).values())
    assert parity(model, path, batch) < 1e-4
    kinds = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert not {"BatchNormalization", "Pad", "Identity"} & kinds.keys()


Make = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda x: layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, activation="relu6")(x), IMAGE),
        (lambda x: layers.DepthwiseConv2D(3, 1, "same", dilation_rate=2, use_bias=False)(x), IMAGE),
        (lambda x: layers.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2, activation="hard_silu")(x), IMAGE),
        (lambda x: layers.Conv2D(4, 3, 2, "same")(x), (11, 8, 3)),
        (lambda x: layers.Conv2D(6, 3, groups=3)(x), IMAGE),
        (lambda x: layers.ZeroPadding2D(((0, 1), (2, 3)))(x), IMAGE),
        (lambda x: layers.Conv2D(4, 3, 2)(layers.ZeroPadding2D(((0, 1), (2, 3)))(x)), IMAGE),
        (lambda x: layers.Conv2D(4, 3, 2, "same")(layers.ZeroPadding2D(1)(x)), IMAGE),
        (lambda x: layers.AveragePooling2D(3, 1, "same")(x), IMAGE),
        (lambda x: layers.AveragePooling2D((2, 3), 2, "same")(x), (11, 9, 3)),
        (lambda x: layers.MaxPooling2D(3, 2, "same")(x), (11, 9, 3)),
        (lambda x: layers.GlobalAveragePooling2D()(x), IMAGE),
        (lambda x: layers.GlobalMaxPooling2D()(x), IMAGE),
        (lambda x: layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)]), IMAGE),
        (lambda x: layers.Add()([x, layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(x))]), IMAGE),
        (lambda x: layers.Reshape((4, 90))(x), IMAGE),
        (lambda x: layers.Reshape((5, 12, 6))(x), IMAGE),
        (lambda x: layers.Rescaling(2.0, offset=-1.0)(x), IMAGE),
        (lambda x: layers.Rescaling([1.0, 2.0, 3.0], offset=[0.0, 1.0, 2.0])(x), IMAGE),
        (lambda x: layers.Rescaling([1.0, 2.0, 3.0], offset=0.5)(x), (3,)),
        (lambda x: layers.ReLU(0.5)(x * 2.0 + 0.25), IMAGE),
        (lambda x: layers.LeakyReLU(0.3)(x), IMAGE),
        (lambda x: layers.ReLU(negative_slope=0.1)((1.0 - x) / 3.0), IMAGE),
        (lambda x: layers.BatchNormalization()(layers.Dense(4)(x)), (7,)),
        (lambda x: layers.Concatenate()([x, layers.Dropout(0.5)(x), layers.Identity()(x)]), IMAGE),
        *[
            (lambda x, kind=kind: layers.Activation(kind)(3.0 * x), IMAGE)
            for kind in ("hard_sigmoid", "hard_silu", "silu", "elu", "relu6", "tanh", "softmax", "linear")
        ],
    ],
)
def test_each_layer_gives_what_keras_gives(make: Make, shape: tuple[int, ...]) -> None:
    image = keras.Input(shape, name="input")
    x = make(image)
    # The outputs come after a dense layer, so that the order of a picture's numbers counts, too.
    x = layers.Dense(4, name="age")(layers.Flatten()(x) if len(x.shape) > 2 else x)
    model = lively(keras.Model(image, {"age": x}))
    batch = faces(shape)
    expected = np.asarray(model.predict_on_batch(batch)["age"])
    found, _ = outputs_of(model, batch)
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(found["age"], expected, atol=1e-5)


def test_layers_that_are_used_twice_keep_their_own_normalisation() -> None:
    image = keras.Input(IMAGE, name="input")
    conv = layers.Conv2D(4, 3, name="conv")
    one, other = conv(image), conv(layers.MaxPooling2D(1, name="same")(image))
    sums = layers.Add()([layers.BatchNormalization()(one), layers.BatchNormalization()(other), other])
    model = lively(keras.Model(image, {"age": layers.Dense(3, name="age")(layers.Flatten()(sums))}))
    found, kinds = outputs_of(model, faces(IMAGE))
    np.testing.assert_allclose(found["age"], model.predict_on_batch(faces(IMAGE))["age"], atol=1e-5)
    # The second convolution is used as it is, too, and so has to stay.
    assert (kinds["Conv"], kinds["BatchNormalization"]) == (2, 1)


def test_an_output_that_is_its_input_or_another_output_stays() -> None:
    image = keras.Input((7,), name="input")
    x = layers.Dense(3, name="dense")(image)
    model = keras.Model(image, {"age": layers.Dropout(0.5, name="age")(x), "gender": layers.Identity(name="gender")(x)})
    found, kinds = outputs_of(model, faces((7,)))
    expected = model.predict_on_batch(faces((7,)))
    for name in ("age", "gender"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    assert kinds == {"Gemm": 1, "Identity": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: layers.ReLU(threshold=0.5, name="bent")(x), "layer 'bent' has a threshold"),
        (lambda x: layers.ReLU(6.0, negative_slope=0.1, name="bent")(x), "layer 'bent' has a threshold, or a slope"),
        (lambda x: x + np.ones(3, np.float32), "operation 'add.*' must take tensors and numbers, got "),
        (lambda x: keras.ops.sort(x), "layer 'sort.*' is a Sort, which has no converter"),
    ],
)
def test_what_has_no_converter_is_named(make: Make, message: str) -> None:
    image = keras.Input(IMAGE, name="input")
    model = keras.Model(image, {"age": layers.Dense(1, name="age")(layers.Flatten()(make(image)))})
    with pytest.raises(ValueError, match=message):
        build_graph(model)


def test_a_model_that_is_not_functional_is_refused() -> None:
    first, second = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ValueError, match="model must be functional with one input"):
        build_graph(keras.Model([first, second], layers.Add()([first, second])))
