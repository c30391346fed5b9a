from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from agegender_core.onnx_runtime import open_session
from agegender_core.predict import load_predictor
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx
from agegender_train.export.formats.onnx import _halve
from agegender_train.models import build_model, get_network, recommended
from agegender_train.runs.settings import Settings
from agegender_train.training import train
from agegender_train.training.from_model_file import start_from_model_file

# Cloned networks take a list with one picture, and say so where they get the picture itself.
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*structure of `inputs` doesn't match")

NETWORKS: dict[str, dict[str, Any]] = {
    "ssrnet": {"width": 0.25, "mix": 8},
    "mobilenetv2": {"input_size": 32, "alpha": 0.1},
    "mobilenetv3": {"input_size": 32, "alpha": 0.1},
    "efficientnetlite0": {"input_size": 32, "alpha": 0.1},
    "inceptionv3": {"input_size": 75},
}
"""Convolutions with and without a bias, depthwise ones, and normalisations with and without a factor."""


def pictures(side: int, n: int = 64) -> Any:
    """Preprocessed pictures that differ from each other, smooth as photos are."""
    coarse = np.random.default_rng(5).uniform(-1, 1, (n, 8, 8, 3)).astype(np.float32)
    return np.asarray(keras.ops.image.resize(coarse, (side, side)))


def with_statistics(model: Any, faces: Any) -> Any:
    """The model with normalisations as a training leaves them: factors and biases, and the statistics of its inputs."""
    draw = np.random.default_rng(6)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            for variable, low, high in ((layer.gamma, 0.5, 1.5), (layer.beta, -0.5, 0.5)):
                if variable is not None:
                    variable.assign(draw.uniform(low, high, variable.shape))
    model(faces, training=True)
    return model


def exported(model: Any, path: Path, name: str, **training: Any) -> Path:
    network = get_network(name)
    heads: dict[str, dict[str, Any]] = {head: dict(how) for head, how in network.heads.items()}
    if heads["age"]["decode"] == "years":
        heads["age"]["std"] = 9.0
    side = model.input_shape[1]
    spec = PreprocessSpec(side, chip_size=max(72, side), mean=network.mean, scale=network.scale)
    return export_onnx(model, path, name=name, spec=spec, heads=heads, training=training, metrics=[], licence="CC0")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "inceptionv3")) for name in NETWORKS]
)
def test_a_network_begins_with_the_files_predictions(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    first = build_model(name, **NETWORKS[name])
    faces = pictures(first.input_shape[1])
    path = exported(with_statistics(first, faces), tmp_path / "first.onnx", name)
    again = start_from_model_file(build_model(name, **NETWORKS[name]), path, faces)
    for output, expected in first(faces).items():
        np.testing.assert_allclose(again(faces)[output], expected, rtol=1e-3, atol=1e-4)
    # In training each batch is normalised by its own statistics, which are those of these very faces.
    for norm in (layer for layer in again.layers if isinstance(layer, keras.layers.BatchNormalization)):
        inner = keras.Model(again.inputs[0], norm.input)
        axes = tuple(range(len(norm.input.shape) - 1))
        mean, variance = (np.asarray(moment) for moment in keras.ops.moments(inner(faces), axes))
        np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-2, atol=1e-2)
        if norm.scale:
            np.testing.assert_allclose(norm.moving_variance, variance, rtol=2e-2, atol=1e-3)


def test_half_precision_is_read_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    options = NETWORKS["efficientnetlite0"]
    first = build_model("efficientnetlite0", **options)
    faces = pictures(32)
    path = exported(with_statistics(first, faces), tmp_path / "first.onnx", "efficientnetlite0")
    halved = onnx.load(path)
    _halve(halved)
    onnx.save(halved, tmp_path / "half.onnx")
    again = start_from_model_file(build_model("efficientnetlite0", **options), tmp_path / "half.onnx", faces)
    answers = open_session(tmp_path / "half.onnx").run(["age"], {"input": faces})
    np.testing.assert_allclose(again(faces)["age"], answers[0], atol=1e-5)
    with pytest.raises(ValueError, match=r"is of another network: its weights \S+ have shape \(.*\), not \("):
        start_from_model_file(build_model("efficientnetlite0", input_size=32, alpha=0.3), path, faces)
    with pytest.raises(ValueError, match="is of another network, or quantised: it has no weights"):
        start_from_model_file(build_model("ssrnet", width=0.25), path, faces)
    for tensor in halved.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float16:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.int8), tensor.name))
    onnx.save(halved, tmp_path / "int8.onnx")
    with pytest.raises(ValueError, match="or quantised"):
        start_from_model_file(build_model("efficientnetlite0", **options), tmp_path / "int8.onnx", faces)


def test_a_model_file_brings_its_network_and_gentle_settings(tmp_path: Path) -> None:
    fast = recommended(weights="fast")
    assert (fast.model, fast.input_size, fast.margin, fast.frozen_epochs) == ("mobilenetv2", 96, 0.4, 0)
    assert fast.learning_rate == pytest.approx(1e-4)
    assert recommended(weights="tiny").model_options == {"width": 1.5, "mix": 32}
    assert recommended(weights="tiny", model_options={"mix": 8}).model_options == {"width": 1.5, "mix": 8}
    assert recommended(weights="fast", learning_rate=0.5).learning_rate == 0.5
    options = {"width": 0.25, "mix": 8}
    path = exported(build_model("ssrnet", **options), tmp_path / "own.onnx", "ssrnet", model_options=options)
    own = recommended(weights=str(path))
    assert (own.model, own.model_options, own.input_size) == ("ssrnet", options, 64)
    assert recommended().model == "ssrnet"
    silent = onnx.load(path)
    del silent.metadata_props[[item.key for item in silent.metadata_props].index("agegender.training")]
    onnx.save(silent, tmp_path / "silent.onnx")
    assert recommended(weights=str(tmp_path / "silent.onnx")).model_options == {}


def test_another_network_than_that_of_the_weights_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^fast has the weights of mobilenetv2, not of ssrnet$"):
        recommended("ssrnet", weights="fast")
    assert recommended("mobilenetv2", weights="fast").model == "mobilenetv2"


def test_a_name_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file with weights at acurate") as caught:
        recommended(weights="acurate")
    assert "did you mean accurate?" in caught.value.__notes__
    text = tmp_path / "model.onnx"
    text.write_text("no model")
    with pytest.raises(ValueError, match=r"model\.onnx"):
        recommended(weights=str(text))


@pytest.mark.slow
def test_a_training_goes_on_from_a_model_file(make_store: Any, tmp_path: Path) -> None:
    store = make_store(n=96)
    asked: dict[str, Any] = {"model_options": {"width": 0.25}, "batch_size": 16, "ema": 0.0, "validation_fraction": 0.2}
    first = train([store], tmp_path / "first", recommended("ssrnet", **asked, epochs=6))
    still = {**asked, "epochs": 1, "learning_rate": 1e-9, "weight_decay": 0.0}
    del still["model_options"]
    again = train([store], tmp_path / "again", recommended(weights=str(first.model), **still))
    assert again.metrics["middle_mae"] == pytest.approx(first.metrics["middle_mae"], abs=1.0)
    from_chance = train([store], tmp_path / "chance", Settings(**asked, epochs=1, learning_rate=1e-9))
    assert from_chance.metrics["middle_mae"] > again.metrics["middle_mae"] + 3
    assert load_predictor(again.model).name == "ssrnet"
