"""The networks of keras.applications with two heads, and the phases in which they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_train.models import build_model, get_network, network_names, recommended
from agegender_train.models._norm import BatchNormalization
from agegender_train.runs.settings import Settings
from agegender_train.training.phases import plan_phases

SMALLEST = {
    "efficientnetlite0": {"input_size": 32, "alpha": 0.1},
    "inceptionv3": {"input_size": 75},
    "mobilenetv2": {"input_size": 32, "alpha": 0.1},
    "mobilenetv3": {"input_size": 32, "alpha": 0.1},
}


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    return build_model("mobilenetv2", **SMALLEST["mobilenetv2"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_it_gives_probabilities_and_every_layer_has_a_name_of_its_own(name: str, tmp_path: Path) -> None:
    keras.layers.Activation("relu")  # what was built before must not count in the names
    model = build_model(name, **SMALLEST[name])
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    assert names == [layer.name for layer in build_model(name, **SMALLEST[name]).layers]
    assert set(get_network(name).head_layers) <= set(names)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert all(isinstance(layer, BatchNormalization) for layer in norms)

    side = SMALLEST[name]["input_size"]
    faces = np.random.default_rng(0).uniform(-1, 1, (3, int(side), int(side), 3)).astype(np.float32)
    outputs = model.predict_on_batch(faces)
    assert outputs["age"].shape == (3, 101)
    assert outputs["gender"].shape == (3, 2)
    for probabilities in outputs.values():
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    prediction = get_network(name).decoder(outputs)
    np.testing.assert_allclose(prediction.age, outputs["age"] @ np.arange(101), rtol=1e-4)
    np.testing.assert_array_equal(prediction.p_male, outputs["gender"][:, 1])

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(faces)["age"], outputs["age"])


@pytest.mark.slow
def test_the_networks_of_2018_have_their_input_sizes_and_layers() -> None:
    assert [get_network(name).input_size for name in ("inceptionv3", "mobilenetv2", "ssrnet")] == [140, 96, 64]
    inception = build_model("inceptionv3")
    assert {f"mixed{number}" for number in range(11)} <= {layer.name for layer in inception.layers}
    reference = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(140, 140, 3))
    assert inception.count_params() == reference.count_params() + 2048 * 103 + 103


@pytest.mark.slow
def test_a_trunk_starts_from_a_file(tmp_path: Path) -> None:
    trunk = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.1)
    path = tmp_path / "trunk.weights.h5"
    trunk.save_weights(path)
    model = build_model("mobilenetv2", weights=path, **SMALLEST["mobilenetv2"])
    for layer in (layer for layer in trunk.layers if layer.weights):
        for ours, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"trunk\.weights\.h5 doesn't hold the weights of mobilenetv2's trunk"):
        build_model("mobilenetv2", weights=path, input_size=32, alpha=0.35)
    with pytest.raises(FileNotFoundError, match=r"no file with weights at .*nowhere"):
        build_model("mobilenetv2", weights=tmp_path / "nowhere")


@pytest.mark.slow
def test_the_weights_at_hand_fit(shared_data: Path) -> None:
    (path,) = (shared_data / "models" / "mobilenetv2-imagenet").glob("*.h5")
    one, other = build_model("mobilenetv2", weights=path), build_model("mobilenetv2")
    kernel = one.get_layer("Conv1").get_weights()[0]
    assert kernel.shape == (3, 3, 3, 32)
    assert not np.array_equal(kernel, other.get_layer("Conv1").get_weights()[0])


def test_imagenet_is_keras_own_download(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    original = keras.applications.MobileNetV2

    def without_network(weights: Any, **options: Any) -> Any:
        asked.append(weights)
        return original(weights=None, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", without_network)
    build_model("mobilenetv2", weights="imagenet", **SMALLEST["mobilenetv2"])
    assert asked == ["imagenet"]


def test_imagenet_without_a_network_is_a_sentence_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_network(**options: Any) -> Any:
        # As Keras raises it.
        raise Exception("URL fetch failure on https://example.org/w.h5: None -- Name or service not known")

    monkeypatch.setattr(keras.applications, "MobileNetV2", without_network)
    with pytest.raises(OSError, match="ImageNet's weights for mobilenetv2 can't be downloaded: URL fetch") as caught:
        build_model("mobilenetv2", weights="imagenet", **SMALLEST["mobilenetv2"])
    assert any("--weights none" in note for note in caught.value.__notes__)
    assert any("--weights FILE" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mobilenetv2", {"input_size": 31}, "input_size must be at least 32 pixels, got 31"),
        ("mobilenetv2", {"alpha": 0}, r"alpha must be in \(0, 4\], got 0"),
        ("mobilenetv2", {"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ("mobilenetv3", {"alpha": 9}, r"alpha must be in \(0, 4\], got 9"),
        ("mobilenetv3", {"input_size": 9}, "input_size must be at least 32 pixels, got 9"),
        ("inceptionv3", {"input_size": 74}, "input_size must be at least 75 pixels, got 74"),
    ],
)
def test_options_out_of_range_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, **options)


def test_every_network_has_settings_of_its_own() -> None:
    for name in network_names():
        settings = recommended(name)
        assert settings.model == name
        assert bool(settings.frozen_epochs) == bool(get_network(name).head_layers)
    assert recommended("mobilenetv2", epochs=5, age_loss="ordinal").age_loss == "ordinal"
    assert recommended("mobilenetv2", epochs=1).frozen_epochs == 0
    with pytest.raises(ValueError, match="frozen_epochs must be below epochs"):
        recommended("mobilenetv2", epochs=1, frozen_epochs=1)


def test_phases_let_the_heads_learn_first_then_from_a_layer_on(mobilenet: keras.Model) -> None:
    network = get_network("mobilenetv2")
    settings = Settings(model="mobilenetv2", epochs=5, frozen_epochs=2, train_from="block_13_expand")
    heads, rest = plan_phases(mobilenet, network, settings)
    assert (heads.start, heads.stop, heads.heads_only) == (0, 2, True)
    assert (rest.start, rest.stop, rest.heads_only) == (2, 5, False)
    heads.apply(mobilenet)
    assert {weight.path.split("/")[0] for weight in mobilenet.trainable_weights} == {"age", "gender"}
    rest.apply(mobilenet)
    learning = {weight.path.split("/")[0] for weight in mobilenet.trainable_weights}
    assert {"block_13_expand", "Conv_1", "age", "gender"} <= learning
    assert "block_12_project" not in learning
    (whole,) = plan_phases(mobilenet, network, Settings(model="mobilenetv2", epochs=5))
    whole.apply(mobilenet)
    assert "Conv1" in {weight.path.split("/")[0] for weight in mobilenet.trainable_weights}


def test_phases_refuse_what_the_network_does_not_have(mobilenet: keras.Model) -> None:
    network = get_network("mobilenetv2")
    with pytest.raises(ValueError, match=r"no layer 'block_3' to train from\ndid you mean .*block_3_"):
        list(plan_phases(mobilenet, network, Settings(train_from="block_3")))
    ssrnet = build_model("ssrnet", width=0.25)
    with pytest.raises(ValueError, match="ssrnet has no trunk to freeze"):
        list(plan_phases(ssrnet, get_network("ssrnet"), Settings(epochs=3, frozen_epochs=1)))


@pytest.mark.slow
def test_layers_that_do_not_learn_keep_weights_and_statistics() -> None:
    model = build_model("mobilenetv2", **SMALLEST["mobilenetv2"])
    (heads, _) = plan_phases(model, get_network("mobilenetv2"), Settings(epochs=2, frozen_epochs=1))
    heads.apply(model)
    model.compile("sgd", {"age": "mse", "gender": "mse"})
    before = {weight.path: np.array(weight) for weight in model.weights}
    faces = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    model.train_on_batch(faces, {"age": np.ones((4, 101), np.float32), "gender": np.float32([[1, 0]] * 4)})
    moved = {
        weight.path.split("/")[0] for weight in model.weights if (np.array(weight) != before[weight.path]).any()
    } - {"dropout"}  # its seed
    assert moved == {"age", "gender"}


def test_batch_normalisation_without_a_scale_is_keras_own() -> None:
    ours, theirs = BatchNormalization(scale=False), keras.layers.BatchNormalization(scale=False)
    pictures = np.random.default_rng(0).normal(3, 2, (8, 5, 5, 4)).astype(np.float32)
    for layer in (ours, theirs):
        layer.build(pictures.shape)
    outputs = [np.asarray(layer(pictures, training=True)) for layer in (ours, theirs)]
    np.testing.assert_allclose(*outputs, atol=1e-4)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
