from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from agegender_train.baselines.ssrnet import load_authors_weights
from agegender_train.models import build_model, get_network, network_names
from agegender_train.models._norm import BatchNormalization
from agegender_train.models.ssrnet import SoftStagewiseRegression

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"
AUTHORS = SHARED / "models/ssrnet"


def stagewise(
    terms: list[np.ndarray], stages: tuple[int, ...], value_range: float, index: float, width: float
) -> float:
    """The equations of the paper, term by term, for one face."""
    total, bins = 0.0, 1.0
    for k, count in enumerate(stages):
        p, delta, eta = terms[3 * k : 3 * k + 3]
        bins *= count * (1 + width * delta[0])
        for i in range(count):
            total += p[i] * (i + index * eta[i]) / bins
    return total * value_range


@pytest.mark.parametrize(("stages", "index", "width"), [((3, 3, 3), 1.0, 1.0), ((2, 4), 0.5, 0.25)])
def test_soft_stagewise_regression_is_the_papers(stages: tuple[int, ...], index: float, width: float) -> None:
    rng = np.random.default_rng(3)
    terms = []
    for count in stages:
        terms += [rng.random((7, count)), rng.uniform(-0.9, 0.9, (7, 1)), rng.uniform(-1, 1, (7, count))]
    layer = SoftStagewiseRegression(stages, 101.0, index, width)
    found = np.asarray(layer([keras.ops.convert_to_tensor(term, "float32") for term in terms]))
    expected = [stagewise([term[i] for term in terms], stages, 101.0, index, width) for i in range(7)]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
    assert found.shape == (7, 1)
    again = SoftStagewiseRegression.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="of 3 stages, got 2 tensors"):
        SoftStagewiseRegression()([keras.ops.zeros((1, 3))] * 2)


def test_two_heads_share_the_streams_and_every_layer_has_a_name_of_its_own() -> None:
    model = build_model("ssrnet")
    assert model.output_names == ["age", "p_male"]
    assert {name: tensor.shape for name, tensor in model.output.items()} == {"age": (None, 1), "p_male": (None, 1)}
    names = [layer.name for layer in model.layers]
    assert len({name for name in names if name.startswith("stream")}) == 2 * 15
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    prefixes = ("input", "stream", "age", "p_male")
    assert all(name.startswith(prefixes) for name in names), names
    assert model.count_params() == 45014


def test_it_starts_near_the_middle_of_both_ranges() -> None:
    keras.utils.set_random_seed(1)
    outputs = build_model("ssrnet").predict_on_batch(np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3)))
    assert np.all((outputs["age"] > 30) & (outputs["age"] < 70))
    assert np.all((outputs["p_male"] > 0.3) & (outputs["p_male"] < 0.7))


@pytest.mark.slow
def test_width_multiplies_the_channels_and_the_one_headed_network_is_the_papers() -> None:
    assert build_model("ssrnet", heads=["age"]).count_params() == 40915
    wide = build_model("ssrnet", width=2)
    assert wide.get_layer("stream1_conv4").kernel.shape == (3, 3, 64, 64)
    assert wide.get_layer("age_stage1_stream2_conv").kernel.shape == (1, 1, 32, 20)
    assert build_model("ssrnet", mix=32).get_layer("p_male_stage3_stream1_mix").units == 32
    assert build_model("ssrnet", input_size=80).input_shape == (None, 80, 80, 3)


@pytest.mark.slow
def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    model = build_model("ssrnet", width=0.25)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    batch = np.random.default_rng(0).uniform(-1, 1, (3, 64, 64, 3)).astype(np.float32)
    for name, values in model.predict_on_batch(batch).items():
        np.testing.assert_array_equal(again.predict_on_batch(batch)[name], values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ["height"]}, "heads must be some of age, p_male"),
        ({"heads": []}, "heads must be some of"),
        ({"stages": (3, 3)}, "stages must name the bins of 3 stages"),
        ({"width": 0}, "width must be above 0"),
        ({"mix": 0}, "mix must be at least 1"),
        ({"input_size": 40}, "input_size must be at least 50"),
    ],
)
def test_what_can_not_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model("ssrnet", **options)


def test_networks_are_found_by_the_names_of_their_files() -> None:
    assert "ssrnet" in network_names()
    assert not any(name.startswith("_") for name in network_names())
    assert get_network("ssrnet").heads["gender"] == {"output": "p_male", "decode": "probability"}
    with pytest.raises(ValueError, match=r"model must be one of .*ssrnet.*, got 'resnet'"):
        get_network("resnet")


def test_outputs_are_decoded_as_the_heads_say() -> None:
    plain = get_network("ssrnet")
    prediction = plain.decoder({"age": np.array([[30.5], [-2.0]]), "p_male": np.array([[0.25], [1.5]])})
    assert (prediction.age.tolist(), prediction.p_male.tolist()) == ([30.5, 0.0], [0.25, 1.0])
    heads = {"age": {"output": "a", "decode": "expected"}, "gender": {"output": "g", "decode": "softmax"}}
    probabilities = np.zeros((1, 101))
    probabilities[0, [20, 40]] = 0.25, 0.75
    prediction = replace(plain, heads=heads).decoder({"a": probabilities, "g": np.array([[0.25, 0.75]])})
    assert (prediction.age.tolist(), prediction.p_male.tolist()) == ([35.0], [0.75])


def test_fused_batch_normalization_equals_that_of_keras() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(3, 2, (4, 5, 6, 8)).astype(np.float32)
    gamma, beta = rng.normal(1, 0.3, 8), rng.normal(0, 1, 8)
    results = []
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        layer = kind(momentum=0.8)
        layer.build(pictures.shape)
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
        for _ in range(3):
            trained = layer(pictures, training=True)
        results.append([np.asarray(value) for value in (trained, layer(pictures), *layer.weights)])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def author_faces() -> list[np.ndarray]:
    """HOG boxes widened by 0.4, as the authors' demo cuts them: BGR, 64 x 64, bilinear."""
    import cv2

    import agegender_core as ag

    faces = []
    for name in ("obama-720p.jpg", "biden.jpg", "pascal-faces/Tom_Cruise_avp_2014_4.jpg"):
        frame = ag.read_image(SHARED / "photos" / name)
        left, top, right, bottom = ag.HogDetector()(frame, ag.Faces.empty()).xyxy[0]
        dx, dy = 0.4 * (right - left), 0.4 * (bottom - top)
        rows = slice(max(int(top - dy), 0), int(bottom + dy) + 1)
        columns = slice(max(int(left - dx), 0), int(right + dx) + 1)
        faces.append(cv2.resize(frame[rows, columns, ::-1], (64, 64), interpolation=cv2.INTER_LINEAR))
    return faces


@pytest.mark.slow
@pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs ../shared/data/models/ssrnet")
def test_the_authors_weights_give_the_authors_ages_and_genders() -> None:
    faces = np.stack(author_faces()).astype(np.float32)
    ages = load_authors_weights(AUTHORS / "imdb-age.h5").predict_on_batch(faces)["age"]
    np.testing.assert_allclose(ages[:, 0], [54.05, 69.11, 46.41], atol=0.3)
    assert list(load_authors_weights(AUTHORS / "wiki-age.h5").predict_on_batch(faces)) == ["age"]
    for name in ("imdb-gender.h5", "wiki-gender.h5"):
        assert (load_authors_weights(AUTHORS / name).predict_on_batch(faces)["p_male"] > 0.95).all()


def write_authors_file(path: Path, model: Any, skip: str = "", widen: str = "") -> None:
    """The weights of a one-headed model of ours as the authors' Keras 2 wrote theirs, numbered from 7 on."""
    kinds = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense"}
    suffixes = {"_p": "pred_age_stage{}", "_delta": "delta_s{}", "_eta": "local_delta_stage{}"}
    counts = dict.fromkeys(kinds.values(), 6)
    theirs_first = sorted(
        (layer for layer in model.layers if layer.weights),
        key=lambda layer: (
            not layer.name.startswith("stream"),
            layer.name.replace("_stream1", "_stream3").replace("hidden", "z"),
        ),
    )
    with h5py.File(path, "w") as file:
        for layer in theirs_first:
            name = next(
                (text.format(layer.name[9]) for end, text in suffixes.items() if layer.name.endswith(end)), None
            )
            if name is None:
                kind = kinds[type(layer).__name__]
                counts[kind] += 1
                name = f"{kind}_{counts[kind]}"
            if layer.name == skip:
                continue
            group = file.create_group(name)
            values = [np.asarray(weight) for weight in layer.weights]
            if layer.name == widen:
                values[0] = values[0][..., :-1]
            group.attrs["weight_names"] = [f"{name}/{i}:0".encode() for i in range(len(values))]
            for i, value in enumerate(values):
                group[f"{name}/{i}:0"] = value


def test_weights_are_mapped_by_order_whatever_their_numbers(tmp_path: Path) -> None:
    model = build_model("ssrnet", heads=["age"])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0, 0.1, weight.shape) for weight in model.weights])
    write_authors_file(tmp_path / "theirs.h5", model)
    loaded = load_authors_weights(tmp_path / "theirs.h5")
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), err_msg=ours.path)


def test_files_of_other_networks_are_refused_by_layer(tmp_path: Path) -> None:
    model = build_model("ssrnet", heads=["age"])
    write_authors_file(tmp_path / "narrow.h5", model, widen="age_stage2_delta")
    with pytest.raises(ValueError, match=r"layer delta_s2 must have the shapes .*\(90, 1\)"):
        load_authors_weights(tmp_path / "narrow.h5")
    write_authors_file(tmp_path / "short.h5", model, skip="age_stage3_p")
    with pytest.raises(ValueError, match=r"short.h5 has no weights for the layer age_stage3_p"):
        load_authors_weights(tmp_path / "short.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(OSError, match=r"text.h5 can't be read as HDF5"):
        load_authors_weights(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError, match=r"nothing.h5"):
        load_authors_weights(tmp_path / "nothing.h5")
