from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from agegender_core.predict import load_predictor
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.export import export_onnx, export_run, exporting
from agegender_train.export.formats import format_names, get_format
from agegender_train.export.trained import read_trained
from agegender_train.models import build_model, get_network
from agegender_train.store import Store

SPEC = PreprocessSpec(32, chip_size=72, margin=0.3, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)
LICENCE = "CC BY 4.0 – made"
CHIPS = np.random.default_rng(2).integers(0, 256, (5, 72, 72, 3), np.uint8)


def small_network() -> Any:
    """All that the big networks are made of, at a hundredth of their size."""
    keras.utils.set_random_seed(4)
    image = keras.Input((32, 32, 3), name="input")
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False, name="stem")(image)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, layers.Activation("hard_silu", name="swish")(y)])
    x = layers.Conv2D(16, 1, activation="relu", name="wide")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    spread = keras.initializers.RandomNormal(stddev=1.0)
    outputs = {
        "age": layers.Dense(101, activation="softmax", kernel_initializer=spread, name="age")(x),
        "gender": layers.Dense(2, activation="softmax", kernel_initializer=spread, name="gender")(x),
    }
    return keras.Model(image, outputs, name="small")


def write_run(folder: Path, model: Any, name: str = "mobilenetv2") -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    model.save(folder / "checkpoints" / "best.keras")
    config = {
        "settings": {"model": name, "epochs": 3, "seed": 7, "licence": LICENCE},
        "spec": json.loads(SPEC.to_json()),
        "data": [{"name": "made", "faces": 96}],
        "faces": {"training": 90, "validation": 6},
        "git": None,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("export") / "run", small_network())


@pytest.fixture(scope="module")
def faces(make_store: Callable[..., Store]) -> Store:
    return make_store("faces", 60)


def needs(name: str) -> None:
    if name == "openvino":
        pytest.importorskip("openvino", reason="the package openvino is not installed")
    if name == "tflite":
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
        if keras.backend.backend() != "tensorflow":
            pytest.skip("TensorFlow is not Keras's backend")


def described(path: Path) -> dict[str, Any]:
    """The description in an exported file, read as a user would."""
    if path.suffix == ".onnx":
        texts = {p.key.removeprefix("agegender."): p.value for p in onnx.load(path).metadata_props}
    elif path.suffix == ".xml":
        import openvino

        info = openvino.Core().read_model(path).get_rt_info(["agegender"]).value
        texts = {key: value.astype(str) if hasattr(value, "astype") else str(value) for key, value in info.items()}
    else:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, Any] = json.loads(archive.read("agegender.json"))
            return found
    plain = ("format", "version", "name", "licence")
    return {key: text if key in plain else json.loads(text) for key, text in texts.items()}


COMBINATIONS = [(name, precision) for name in format_names() for precision in get_format(name).precisions]


@pytest.mark.parametrize(("name", "precision"), COMBINATIONS)
def test_each_format_says_what_keras_says(run: Path, faces: Store, tmp_path: Path, name: str, precision: str) -> None:
    needs(name)
    kind = get_format(name)
    calibration = faces if precision == "int8" else None
    steps: list[tuple[str, int, int]] = []
    path = tmp_path / f"m{kind.suffix}"
    exported = export_run(
        run,
        name,
        precision,
        path,
        calibration=calibration,
        calibration_faces=40,
        seed=3,
        tests=[faces],
        progress=lambda *args: steps.append(args),
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(file.name for file in exported.files)
    assert exported.size == sum(file.stat().st_size for file in exported.files)
    assert (exported.format, exported.precision, exported.files[0]) == (name, precision, path)
    assert {entry[1:] for entry in steps} == {(60, 60)}
    assert exported.milliseconds > 0

    trained = read_trained(run)
    batch = preprocess(CHIPS, SPEC)
    expected, found = trained.outputs(batch), kind.load(path)(batch)
    for head in ("age", "gender"):
        assert found[head].dtype == np.float32
        off = float(np.abs(found[head] - expected[head]).max())
        assert off <= {"fp32": 1e-4, "fp16": 5e-3, "int8": 0.2}[precision]
        # Rounding can't be free: without a difference the precision was not applied.
        assert (off > 1e-7) or precision == "fp32"
        one = kind.load(path)(batch[:1])[head]
        np.testing.assert_allclose(one, found[head][:1], atol=1e-4 if precision != "int8" else 0.1)
    assert exported.difference.outputs <= {"fp32": 1e-4, "fp16": 5e-3, "int8": 0.2}[precision]

    [change] = exported.changes
    assert (change.test_set, change.n) == ("faces", 60)
    assert change.before["interval_mae"] == pytest.approx(change.after["interval_mae"], abs=1.0)
    if precision == "fp32":
        assert change.before["interval_mae"] == pytest.approx(change.after["interval_mae"], abs=1e-3)

    about = described(path)
    assert (about["format"], about["name"], about["licence"]) == ("1", "mobilenetv2", LICENCE)
    assert PreprocessSpec.from_json(json.dumps(about["preprocess"])) == SPEC
    assert about["heads"] == {name: dict(head) for name, head in get_network("mobilenetv2").heads.items()}
    assert (about["training"]["n"], about["training"]["data"], about["metrics"]) == (90, ["made (96 faces)"], [])
    chosen = {"calibration": {"store": "faces", "faces": 40, "seed": 3}} if calibration else {}
    assert about["export"] == {"precision": precision, **chosen}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_runtime_reads_every_precision_alike(run: Path, faces: Store, tmp_path: Path, precision: str) -> None:
    path = tmp_path / "m.onnx"
    export_run(run, "onnx", precision, path, calibration=faces if precision == "int8" else None)
    predictor = load_predictor(path)
    assert (predictor.name, predictor.spec) == ("mobilenetv2", SPEC)
    prediction = predictor.predict_chips(CHIPS)
    assert prediction.age_probs is not None
    np.testing.assert_allclose(prediction.age_probs.sum(axis=1), 1, rtol=1e-3)
    expected = read_trained(run).outputs(preprocess(CHIPS, SPEC))["gender"][:, 1]
    np.testing.assert_allclose(prediction.p_male, expected, atol={"fp32": 1e-5, "fp16": 1e-2, "int8": 0.2}[precision])


def test_smaller_weights_make_smaller_files(run: Path, faces: Store, tmp_path: Path) -> None:
    model = onnx.load(export_run(run, "onnx", "int8", tmp_path / "8.onnx", calibration=faces).files[0])
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["stem_bn/folded_kernel_quantized"] == onnx.TensorProto.INT8
    scales = {tensor.name: tensor.dims for tensor in model.graph.initializer if tensor.name.endswith("_scale")}
    assert list(scales["stem_bn/folded_kernel_scale"]) == [8]  # one a channel
    assert not any(name.startswith("age/kernel_quant") for name in kinds)
    half = onnx.load(export_run(run, "onnx", "fp16", tmp_path / "16.onnx").files[0])
    weights = [tensor for tensor in half.graph.initializer if tensor.data_type != onnx.TensorProto.INT64]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT}
    halved = [tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in weights]
    numbers = [int(np.prod(tensor.dims)) for tensor in weights]
    # The large tensors, which hold nearly all; the small ones would cost more time at loading than they save.
    assert min(itertools.compress(numbers, halved)) >= max(itertools.compress(numbers, np.logical_not(halved)))
    assert sum(itertools.compress(numbers, halved)) >= 0.95 * sum(numbers)
    assert sum(halved) < len(halved) / 2
    assert [output.type.tensor_type.elem_type for output in half.graph.output] == [onnx.TensorProto.FLOAT] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision"), [("onnx", "int8"), ("openvino", "fp16"), ("tflite", "fp32"), ("keras", "fp32")]
)
def test_the_same_run_gives_the_same_file(run: Path, faces: Store, tmp_path: Path, name: str, precision: str) -> None:
    needs(name)
    contents = []
    for folder in ("one", "two"):
        path = tmp_path / folder / f"m{get_format(name).suffix}"
        exported = export_run(run, name, precision, path, calibration=faces if precision == "int8" else None)
        contents.append([file.read_bytes() for file in exported.files])
    assert contents[0] == contents[1]


def test_an_exported_keras_file_can_be_exported_again(run: Path, tmp_path: Path) -> None:
    first = export_run(run, "keras", out=tmp_path / "whole.keras").files[0]
    loaded = keras.saving.load_model(first, compile=False)
    batch = preprocess(CHIPS, SPEC)
    expected = read_trained(run).outputs(batch)
    np.testing.assert_allclose(loaded.predict_on_batch(batch)["age"], expected["age"], atol=1e-6)
    second = export_run(first, "onnx").files[0]
    assert second == tmp_path / "whole.onnx"
    assert described(second) == described(first)
    with pytest.raises(ValueError, match=r"out must not be the file that is exported, got .*whole\.keras"):
        export_run(first, "keras")


def test_a_finished_run_tells_of_itself_by_its_model_file(tmp_path: Path) -> None:
    model = small_network()
    folder = write_run(tmp_path / "run", model)
    heads = {
        **get_network("mobilenetv2").heads,
        "gender": {"output": "gender", "decode": "softmax", "temperature": 1.5},
    }
    about: dict[str, Any] = {"training": {"n": 1}, "metrics": [{"test_set": "a", "n": 9}], "licence": "CC0"}
    export_onnx(model, folder / "model.onnx", name="mobilenetv2", spec=SPEC, heads=heads, **about)
    exported = export_run(folder, "onnx", "fp16")
    assert exported.files == [folder / "model-fp16.onnx"]
    found = described(exported.files[0])
    assert (found["heads"], found["metrics"], found["licence"]) == (heads, about["metrics"], "CC0")
    model.save(folder / "checkpoints" / "last.keras")
    last = export_run(folder / "checkpoints" / "last.keras", "onnx").files[0]
    assert last == folder / "checkpoints" / "last.onnx"
    assert (described(last)["metrics"], described(last)["heads"]) == ([], heads)


def leftovers(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda values: values + np.float32(2e-4), "differs from Keras by 2.0e-04, above 1e-04; nothing was written"),
        (lambda values: values * np.float32(np.nan), "output 'age' must be finite, got nan or inf"),
        (lambda values: values[:, :-1], r"output 'age' must have shape \(16, 101\) as in Keras, got \(16, 100\)"),
    ],
)
def test_what_differs_is_refused_and_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], message: str
) -> None:
    kind = get_format("onnx")

    def load(path: Path) -> Any:
        right = kind.load(path)
        return lambda batch: {name: spoil(values) for name, values in right(batch).items()}

    monkeypatch.setattr(exporting, "get_format", lambda name: replace(kind, load=load))
    with pytest.raises(ValueError, match=message):
        export_run(run, "onnx", out=tmp_path / "m.onnx")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_rounding_explains_only_so_much(
    run: Path, faces: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    kind = get_format("onnx")
    wrong = {"age": np.eye(101, dtype=np.float32)[[100]], "gender": np.array([[0.5, 0.5]], np.float32)}

    def load(path: Path) -> Any:
        return lambda batch: {name: np.repeat(values, len(batch), axis=0) for name, values in wrong.items()}

    monkeypatch.setattr(exporting, "get_format", lambda name: replace(kind, load=load))
    with pytest.raises(ValueError, match=rf"on average, more than {precision} explains"):
        export_run(run, "onnx", precision, tmp_path / "m.onnx", calibration=faces if precision == "int8" else None)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "coreml"}, "format must be one of keras, onnx, openvino, tflite, got 'coreml'"),
        ({"format": "keras", "precision": "fp16"}, "precision of keras must be one of fp32, got 'fp16'"),
        ({"format": "onnx", "precision": "int8"}, "calibration needs a store to take faces from, got precision int8"),
        ({"format": "onnx", "out": "m.tflite"}, "out must end in .onnx, got m.tflite"),
    ],
)
def test_what_cannot_be_asked(run: Path, arguments: dict[str, Any], message: str) -> None:
    before = leftovers(run)
    with pytest.raises(ValueError, match=message):
        export_run(run, **arguments)
    assert leftovers(run) == before


def test_stores_must_suit(run: Path, faces: Store, make_store: Callable[..., Store]) -> None:
    with pytest.raises(ValueError, match="calibration is only of use for int8"):
        export_run(run, "onnx", calibration=faces)
    with pytest.raises(ValueError, match="calibration_faces must be at least 1, got 0"):
        export_run(run, "onnx", "int8", calibration=faces, calibration_faces=0)
    other = make_store("cut", 4, size=80)
    for arguments in ({"tests": [other]}, {"precision": "int8", "calibration": other}):
        with pytest.raises(ValueError, match=r"the store cut holds chips of 80 px with padding 0\.4"):
            export_run(run, "onnx", **arguments)  # type: ignore[arg-type]


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run folder and no \.keras file at"):
        read_trained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"is no run of agegender train: it has no config\.json"):
        read_trained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has no weights yet"):
        read_trained(tmp_path)
    with pytest.raises(ValueError, match=r"config\.json is no run folder and no \.keras file of one"):
        read_trained(tmp_path / "config.json")
    loose = tmp_path / "loose.keras"
    loose.write_bytes((run / "checkpoints" / "best.keras").read_bytes())
    with pytest.raises(ValueError, match=r"loose\.keras is not in the checkpoints folder of a run"):
        read_trained(loose)


@pytest.mark.slow
def test_ages_without_their_error_are_not_exported(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", build_model("ssrnet", width=0.1), name="ssrnet")
    with pytest.raises(ValueError, match=r"isn't finished: it has no model\.onnx, which holds the error of .*'s ages"):
        read_trained(folder)


def test_a_missing_package_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for module in ("agegender_core.openvino_runtime", "agegender_train.export.formats.tflite"):
        monkeypatch.setattr(f"{module}.import_module", absent)
    with pytest.raises(ValueError, match="openvino needs the package openvino: pip install openvino"):
        export_run(run, "openvino", out=tmp_path / "m.xml")
    with pytest.raises(ValueError, match="tflite needs TensorFlow: pip install tensorflow"):
        export_run(run, "tflite", out=tmp_path / "m.tflite")
    assert leftovers(tmp_path) == []


def test_tflite_asks_for_its_backend(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("tflite")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    kind = get_format("tflite")
    with pytest.raises(ValueError, match="needs TensorFlow as Keras's backend, got jax: set KERAS_BACKEND=tensorflow"):
        kind.write(read_trained(run), tmp_path / "m.tflite", "fp32", None)


@pytest.mark.slow
def test_jax_exports_without_tensorflow(run: Path, faces: Store, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    program = """
import sys
sys.modules["tensorflow"] = None
from pathlib import Path
from agegender_train.export import export_run
from agegender_train.store import Store
run, store, out = map(Path, sys.argv[1:])
print(export_run(run, "onnx", out=out / "m.onnx").difference.outputs)
export_run(run, "onnx", "int8", out / "m8.onnx", calibration=Store.open(store))
export_run(run, "keras", out=out / "m.keras")
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", program, str(run), str(faces.path), str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert 0 <= float(result.stdout) <= 1e-4
    assert leftovers(tmp_path) == ["m.keras", "m.onnx", "m8.onnx"]
    expected = read_trained(run).outputs(preprocess(CHIPS, SPEC))["gender"][:, 1]
    np.testing.assert_allclose(load_predictor(tmp_path / "m.onnx").predict_chips(CHIPS).p_male, expected, atol=1e-4)
