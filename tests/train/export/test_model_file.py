from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from agegender_core.predict import load_predictor
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx, parity
from agegender_train.models import build_model, get_network

SPEC = PreprocessSpec(64, chip_size=72, margin=0.3, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)
HEADS = {
    "age": {"output": "age", "decode": "years", "std": 7.5},
    "gender": {"output": "p_male", "decode": "probability"},
}


def export(model: Any, path: Path, spec: PreprocessSpec = SPEC, heads: Any = HEADS) -> Path:
    return export_onnx(
        model, path, name="ssrnet", spec=spec, heads=heads, training={"n": 3}, metrics=[{"n": 2}], licence="CC BY 4.0"
    )


def lively(model: Any, seed: int = 0) -> Any:
    """Weights as after a training: no statistic at its start, no bias at zero."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(np.asarray(weight) * rng.uniform(0.8, 1.2, weight.shape) + rng.normal(0, 0.01, weight.shape))
    return model


def batch(size: int = 64, n: int = 8) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, (n, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"width": 2}, marks=pytest.mark.slow),
        pytest.param({"input_size": 70}, marks=pytest.mark.slow),
        pytest.param({"stages": (2, 3, 4), "lambda_width": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_the_file_gives_what_keras_gives(tmp_path: Path, options: dict[str, Any]) -> None:
    size = options.get("input_size", 64)
    keras.utils.set_random_seed(1)
    model = lively(build_model("ssrnet", **options))
    path = export(model, tmp_path / "m.onnx", PreprocessSpec(size, mean=(1, 2, 3)))
    age = model.predict_on_batch(batch(size))["age"]
    assert np.ptp(age) > 1e-2
    assert 0 < age.min() < age.max() < 200
    assert parity(model, path, batch(size)) < 1e-4


def test_one_headed_models_of_other_sizes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"spec must give the model's input \(None, 70, 70, 3\), got 64 px nhwc"):
        export(build_model("ssrnet", input_size=70), tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"heads must name outputs of the model \(age\), got \{'p_male'\}"):
        export(build_model("ssrnet", heads=["age"]), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_file_carries_all_that_the_runtime_needs(tmp_path: Path) -> None:
    model = lively(build_model("ssrnet"))
    path = export(model, tmp_path / "m.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
    loaded = onnx.load(path)
    assert (loaded.ir_version, loaded.opset_import[0].version) == (8, 17)
    texts = {item.key.removeprefix("agegender."): item.value for item in loaded.metadata_props}
    assert (texts["format"], texts["name"], texts["licence"]) == ("1", "ssrnet", "CC BY 4.0")
    assert PreprocessSpec.from_json(texts["preprocess"]) == SPEC
    assert (json.loads(texts["heads"]), json.loads(texts["training"]), json.loads(texts["metrics"])) == (
        HEADS,
        {"n": 3},
        [{"n": 2}],
    )
    chips = np.random.default_rng(1).integers(0, 256, (5, 72, 72, 3), np.uint8)
    predictor = load_predictor(path)
    found = predictor.predict_chips(chips)
    left, _, right, _ = SPEC.crop
    assert right - left == pytest.approx(72 * 1.6 / 1.8)
    assert found.age_std.tolist() == [7.5] * 5
    from agegender_core.preprocess import preprocess

    expected = model.predict_on_batch(preprocess(chips, predictor.spec))
    np.testing.assert_allclose(found.age, expected["age"][:, 0], atol=1e-4)
    np.testing.assert_allclose(found.p_male, np.clip(expected["p_male"][:, 0], 0, 1), atol=1e-5)


def test_layers_of_other_networks_are_converted_alike(tmp_path: Path) -> None:
    image = keras.Input((64, 64, 3), name="input")
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, activation="relu", name="a")(image)
    x = layers.BatchNormalization(scale=False, name="b")(x)
    y = layers.Conv2D(6, 1, activation="sigmoid", name="c")(x)
    x = layers.Concatenate(name="d")([layers.Add(name="e")([x, y, x]), layers.Multiply(name="f")([x, y])])
    x = layers.AveragePooling2D(3, 2, padding="same", name="g")(x)
    x = layers.Flatten(name="h")(layers.MaxPooling2D(2, 2, padding="same", name="i")(x))
    outputs = {
        "age": layers.Dense(101, activation="softmax", name="age")(layers.Dropout(0.5, name="j")(x)),
        "p_male": layers.Activation("softmax", name="p_male")(layers.Dense(2, use_bias=False, name="k")(x)),
    }
    model = lively(keras.Model(image, outputs))
    heads = {"age": {"output": "age", "decode": "expected"}, "gender": {"output": "p_male", "decode": "softmax"}}
    path = export(model, tmp_path / "m.onnx", heads=heads)
    assert parity(model, path, batch()) < 1e-5
    prediction = load_predictor(path).predict_chips(np.zeros((2, 72, 72, 3), np.uint8))
    assert prediction.age_probs is not None
    np.testing.assert_allclose(prediction.age_probs.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.UpSampling2D(name="up"), "layer 'up' is a UpSampling2D, which has no converter"),
        (layers.Conv2D(1, 1, activation="gelu", name="soft"), "layer 'soft' has activation .*gelu"),
        (layers.BatchNormalization(axis=1, name="norm"), "layer 'norm' must normalise the last axis, got 1"),
        (layers.Concatenate(axis=1, name="join"), "layer 'join' must join the last axis, got 1"),
    ],
)
def test_a_layer_without_converter_is_named(tmp_path: Path, layer: Any, message: str) -> None:
    image = keras.Input((64, 64, 3))
    x = layer([image, image] if isinstance(layer, layers.Concatenate) else image)
    x = layers.Flatten()(x)
    model = keras.Model(image, {"age": layers.Dense(1, name="age")(x), "p_male": layers.Dense(1, name="p_male")(x)})
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_every_network_of_ours_can_be_exported() -> None:
    network = get_network("ssrnet")
    assert {head["output"] for head in network.heads.values()} == set(build_model("ssrnet").output_names)
