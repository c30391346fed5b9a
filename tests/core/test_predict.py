from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agegender_core import (
    Aligner,
    DeviceError,
    Faces,
    HogDetector,
    ModelFileError,
    Pipeline,
    load_predictor,
    preprocess,
    read_image,
)
from agegender_core.align import LANDMARKS_PATH
from agegender_core.decoding import Decoder
from agegender_core.draw import label_of
from agegender_core.model_file import with_untrained
from agegender_core.onnx_runtime import DEVICES, onnxruntime
from agegender_core.predict import MODELS, MODELS_PATH, Predictor
from agegender_core.records import face_records


def write_model(path: Path, outputs: dict[str, np.ndarray], made_heads: dict[str, object], **metadata: str) -> Path:
    """A network that gives the same rows for every face: `outputs` by name, (1, k) each."""
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "one"], ["column"]),
        *(helper.make_node("Add", ["column", f"{name}_row"], [name]) for name in outputs),
    ]
    constants = {"axes": np.array([1, 2, 3]), "zero": np.float32(0), "one": np.array([1])}
    constants |= {f"{name}_row": row for name, row in outputs.items()}
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 8, 8, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", row.shape[1]]) for name, row in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    spec = (
        '{"input_size": 8, "chip_size": 16, "chip_padding": 0.4, "margin": 0.4, "color": "rgb", "layout": "nhwc", '
        '"mean": [0, 0, 0], "scale": [1, 1, 1], "interpolation": "area"}'
    )
    defaults = {"format": "1", "name": "made", "preprocess": spec, "heads": json.dumps(made_heads)}
    for key, value in {**defaults, **metadata}.items():
        if value:
            model.metadata_props.add(key=f"agegender.{key}", value=value)
    onnx.save(model, path)
    return path


YEARS = {"age": {"output": "a", "decode": "years", "std": 6.5}, "gender": {"output": "g", "decode": "probability"}}
SOFTMAX = {"age": {"output": "a", "decode": "expected"}, "gender": {"output": "g", "decode": "softmax"}}
PLAIN = {"a": np.array([[31.5]], np.float32), "g": np.array([[1.25]], np.float32)}


def test_years_and_probability(tmp_path: Path) -> None:
    predictor = load_predictor(write_model(tmp_path / "m.onnx", PLAIN, YEARS))
    prediction = predictor.predict_chips(np.zeros((3, 16, 16, 3), np.uint8))
    assert prediction.age.tolist() == [31.5] * 3
    assert prediction.age_std.tolist() == [6.5] * 3
    assert prediction.p_male.tolist() == [1.0] * 3
    assert prediction.age_probs is None


def test_distribution_and_softmax(tmp_path: Path) -> None:
    probs = np.zeros((1, 101), np.float32)
    probs[0, [20, 30]] = 0.5
    outputs = {"a": probs, "g": np.array([[0.9, 0.1]], np.float32)}
    prediction = load_predictor(write_model(tmp_path / "m.onnx", outputs, SOFTMAX)).predict_chips(
        np.zeros((2, 16, 16, 3), np.uint8)
    )
    np.testing.assert_allclose(prediction.age, 25)
    np.testing.assert_allclose(prediction.age_std, 5, rtol=1e-5)
    np.testing.assert_allclose(prediction.p_male, 0.1)
    assert prediction.age_probs is not None
    assert prediction.age_probs.shape == (2, 101)


def test_a_calibrated_file_fills_the_interval(tmp_path: Path, astronaut_path: Path) -> None:
    bounds = {"level": 0.9, "at": [0.0, 100.0], "below": [10.0, 10.0], "above": [20.0, 20.0]}
    heads = {**YEARS, "age": {**YEARS["age"], "interval": bounds}}
    predictor = load_predictor(write_model(tmp_path / "m.onnx", PLAIN, heads))
    image = read_image(astronaut_path)
    faces = predictor(image, HogDetector()(image, Faces.empty()))
    assert faces.age_interval is not None
    assert faces.age_interval.tolist() == [[21.5, 51.5]]
    nobody = predictor(image, Faces.empty())
    assert nobody.age_interval is not None
    assert nobody.age_interval.shape == (0, 2)


@pytest.mark.parametrize(("head", "known"), [("age", "male"), ("gender", "32")])
def test_an_untrained_head_leaves_its_columns_empty(
    head: str, known: str, tmp_path: Path, astronaut_path: Path
) -> None:
    pipeline = Pipeline.for_pictures(write_model(tmp_path / "m.onnx", PLAIN, with_untrained(YEARS, [head])))
    faces = pipeline(read_image(astronaut_path))
    empty = ("age", "age_std", "age_interval", "age_probs") if head == "age" else ("p_male",)
    assert [getattr(faces, name) for name in empty] == [None] * len(empty)
    (record,) = face_records(faces)
    silent = ("age", "age_std", "age_interval") if head == "age" else ("gender", "p_male")
    assert [record[name] for name in silent] == [None] * len(silent)
    assert label_of(faces, 0) == known
    assert load_predictor(tmp_path / "m.onnx").untrained == (head,)


def test_raw_outputs_are_before_any_calibration(tmp_path: Path) -> None:
    heads = {"age": {**YEARS["age"], "correction": {"at": [0, 100], "years": [50, 60]}}, "gender": YEARS["gender"]}
    predictor = load_predictor(write_model(tmp_path / "m.onnx", PLAIN, heads))
    raw = predictor.raw_outputs(np.zeros((2, 16, 16, 3), np.uint8))
    assert {name: values.tolist() for name, values in raw.items()} == {"a": [[31.5]] * 2, "g": [[1.25]] * 2}
    assert predictor.predict_chips(np.zeros((2, 16, 16, 3), np.uint8)).age.tolist() == pytest.approx([53.15] * 2)


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"preprocess": ""}, r"not one of agegender's: its metadata lacks agegender\.preprocess"),
        ({"heads": "", "name": ""}, r"lacks agegender\.heads, agegender\.name"),
        ({"format": "2"}, "has format 2, this version reads format 1"),
        ({"preprocess": "{}"}, "the preprocessing spec lacks"),
        ({"heads": json.dumps({**YEARS, "age": {"output": "a", "decode": "years"}})}, "no 'std' in years"),
        ({"heads": json.dumps({**YEARS, "gender": {"output": "x", "decode": "softmax"}})}, "no output named x"),
        ({"heads": "[]"}, "JSON object of objects"),
        ({"heads": json.dumps({**YEARS, "age": {**YEARS["age"], "interval": {}}})}, "'interval' must hold numbers"),
    ],
)
def test_files_without_metadata_are_refused(tmp_path: Path, metadata: dict[str, str], why: str) -> None:
    path = write_model(tmp_path / "strange.onnx", PLAIN, YEARS, **metadata)
    with pytest.raises(ModelFileError, match=why) as caught:
        load_predictor(path)
    assert str(path) in str(caught.value)


def test_models_that_come_with_the_package_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(MODELS.values()) == sorted(path.stem for path in MODELS_PATH.glob("*.onnx"))
    for kind, name in MODELS.items():
        predictor = load_predictor(name)
        assert predictor.name == name
        assert load_predictor(kind).path == predictor.path
        assert predictor.metadata["agegender.licence"] == "CC BY 4.0"
        assert predictor.path.stat().st_size < 12_000_000
        assert {"agegender.calibration", "agegender.training"} <= predictor.metadata.keys()
    assert load_predictor().name == MODELS["accurate"]
    monkeypatch.chdir(tmp_path)
    for name in ("accurate", "ssrnet", "tiny"):
        write_model(tmp_path / name, PLAIN, YEARS)
    assert load_predictor().name == MODELS["accurate"]
    assert load_predictor("ssrnet").path == Path("ssrnet")
    assert load_predictor("tiny").path == Path("tiny")


def test_pictures_get_the_accurate_model_and_videos_the_fast_one() -> None:
    def network(pipeline: Pipeline) -> str:
        return next(stage.name for stage in pipeline.stages if isinstance(stage, Predictor))

    assert network(Pipeline.for_pictures()) == MODELS["accurate"]
    assert network(Pipeline.for_video()) == MODELS["fast"]
    assert network(Pipeline.for_video("tiny")) == MODELS["tiny"]


def test_what_is_no_onnx_model_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.onnx"
    whole = (MODELS_PATH / "ssrnet.onnx").read_bytes()
    for content in (b"", b"notes", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(ModelFileError) as caught:
            load_predictor(path)
        assert str(caught.value) == f"{path} is no ONNX model: it is cut off, or a file of another kind"


def test_a_model_that_cannot_be_run_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    path.write_bytes(
        (MODELS_PATH / "ssrnet.onnx").read_bytes().replace(b"Softmax", b"Softmix").replace(b"Relu", b"Rulu")
    )
    with pytest.raises(ModelFileError, match=r"strange\.onnx is no ONNX model that can be run: ") as caught:
        load_predictor(path)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert str(caught.value).count("strange.onnx") == 1


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(FileNotFoundError, match="no model file at mobilnetv2") as caught:
        load_predictor("mobilnetv2")
    assert caught.value.__notes__ == ["did you mean mobilenetv2?"]


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx; the package's own are called accurate, fast, tiny"):
        load_predictor(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelFileError, match="is no ONNX model"):
        load_predictor(tmp_path / "text.onnx")


def test_no_threads() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        load_predictor(threads=0)


@pytest.mark.parametrize("flip", [True, False])
def test_what_the_network_gets_can_be_given_itself(flip: bool) -> None:
    predictor = load_predictor("ssrnet", flip=flip)
    chips = np.random.default_rng(0).integers(0, 256, (40, 140, 140, 3), np.uint8)
    by_chips, by_inputs = predictor.predict_chips(chips), predictor.predict_inputs(preprocess(chips, predictor.spec))
    np.testing.assert_allclose(by_inputs.age, by_chips.age, atol=1e-3)
    np.testing.assert_allclose(by_inputs.p_male, by_chips.p_male, atol=1e-5)
    assert len(predictor.predict_inputs(preprocess(chips[:0], predictor.spec)).age) == 0
    with pytest.raises(ValueError, match=r"inputs must have shape \(n, 64, 64, 3\), got \(1, 3, 64, 64\)"):
        predictor.predict_inputs(np.zeros((1, 3, 64, 64), np.float32))


def test_wrong_chips_are_cut_again(astronaut_path: Path) -> None:
    """Chips of another size or margin than in training give other ages: the predictor must not use them."""
    image, predictor = read_image(astronaut_path), load_predictor()
    found = HogDetector()(image, Faces.empty())
    spec = predictor.spec
    right = predictor(image, Aligner(spec.chip_size, spec.chip_padding)(image, found))
    for size, padding in ((spec.chip_size, 0.1), (96, spec.chip_padding)):
        again = predictor(image, Aligner(size, padding)(image, found))
        np.testing.assert_array_equal(np.asarray(again.age), np.asarray(right.age))
    bare = predictor(image, found)
    np.testing.assert_array_equal(np.asarray(bare.p_male), np.asarray(right.p_male))


def test_the_default_model(astronaut_path: Path) -> None:
    """Eileen Collins was 35 in this portrait."""
    image, predictor = read_image(astronaut_path), load_predictor()
    faces = predictor(image, Aligner()(image, HogDetector()(image, Faces.empty())))
    assert faces.age is not None
    assert faces.p_male is not None
    assert abs(float(faces.age[0]) - 35) < 15
    assert faces.p_male[0] < 0.5
    assert predictor.metadata["agegender.licence"] == "CC BY 4.0"
    assert "fairface" in predictor.metadata["agegender.training"].lower()


def test_no_faces_give_no_rows(astronaut_path: Path) -> None:
    faces = load_predictor()(read_image(astronaut_path), Faces.empty())
    assert len(faces) == 0
    assert faces.age is not None


def test_many_threads_give_the_same(astronaut_path: Path) -> None:
    image, predictor = read_image(astronaut_path), load_predictor()
    faces = Aligner()(image, HogDetector()(image, Faces.empty()))
    with ThreadPoolExecutor(4) as pool:
        ages = {float(np.asarray(r.age)[0]) for r in pool.map(lambda _: predictor(image, faces), range(16))}
    assert len(ages) == 1


@pytest.mark.parametrize("name", MODELS)
def test_flipped_is_the_mean_of_a_face_and_its_mirror_image(name: str, astronaut_path: Path) -> None:
    image = read_image(astronaut_path)
    once, twice = load_predictor(name, flip=False), load_predictor(name, flip=True)
    chips = Aligner(once.spec.chip_size, once.spec.chip_padding)(image, HogDetector()(image, Faces.empty())).chips
    assert chips is not None
    mirrored = np.ascontiguousarray(chips[:, :, ::-1])
    ways = [once.raw_outputs(chips), once.raw_outputs(mirrored)]
    for key, values in twice.raw_outputs(chips).items():
        np.testing.assert_allclose(values, (ways[0][key] + ways[1][key]) / 2, atol=1e-6)
    # Whichever way round a face is, the answer is the same.
    assert twice.predict_chips(chips).age == pytest.approx(twice.predict_chips(mirrored).age, abs=1e-3)
    assert once.predict_chips(chips).age != pytest.approx(once.predict_chips(mirrored).age, abs=1e-2)
    assert len(twice.predict_chips(chips[:0]).age) == 0


@pytest.mark.parametrize("n", [1, 2, 33])
def test_faces_and_their_mirror_images_share_batches(n: int) -> None:
    once, twice = load_predictor("tiny", flip=False), load_predictor("tiny", flip=True)
    size = once.spec.chip_size
    chips = np.random.default_rng(n).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    mirrored = once.raw_outputs(np.ascontiguousarray(chips[:, :, ::-1]))
    calls: list[int] = []
    run = twice._network.run
    twice._network.run = lambda names, inputs: (calls.append(len(inputs)), run(names, inputs))[1]
    outputs = twice.raw_outputs(chips)
    for key, values in once.raw_outputs(chips).items():
        np.testing.assert_allclose(outputs[key], (values + mirrored[key]) / 2, atol=1e-6)
    assert calls == {1: [2], 2: [4], 33: [8] * 8 + [2]}[n]


@pytest.mark.parametrize(
    ("threads", "provider", "expected"),
    [(1, None, [8] * 8 + [6]), (2, None, [16] * 4 + [6]), (9, None, [32, 32, 6]), (1, "CUDA", [32, 32, 6])],
)
def test_no_more_faces_at_a_time_than_a_core_has_room_for(
    threads: int, provider: str | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if provider is not None:
        # Another device than the CPU.
        monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _: [f"{provider}ExecutionProvider"])
    alone = load_predictor("tiny", flip=False, device="auto")
    batched = load_predictor("tiny", threads=threads, flip=False, device="auto")
    size = alone.spec.chip_size
    chips = np.random.default_rng(0).integers(0, 256, (70, size, size, 3), dtype=np.uint8)
    calls: list[int] = []
    run = batched._network.run
    batched._network.run = lambda names, inputs: (calls.append(len(inputs)), run(names, inputs))[1]
    outputs = batched.raw_outputs(chips)
    assert calls == expected
    singly = [alone.raw_outputs(chip[None]) for chip in chips]
    for key, values in outputs.items():
        np.testing.assert_allclose(values, np.concatenate([one[key] for one in singly]), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_only_faces_that_a_network_is_unsure_of_are_flipped(name: str, astronaut_path: Path) -> None:
    ways = {flip: load_predictor(name, flip=flip) for flip in (False, True, "unsure")}
    size, image = ways[False].spec.chip_size, read_image(astronaut_path)
    face = Aligner(size, ways[False].spec.chip_padding)(image, HogDetector()(image, Faces.empty())).chips
    assert face is not None
    coarse = np.random.default_rng(8).integers(0, 256, (40, 9, 9, 3), dtype=np.uint8)
    noise = [cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse]
    chips = np.stack([face[0], *noise])
    outputs = {flip: predictor.raw_outputs(chips) for flip, predictor in ways.items()}
    unsure = ways[False]._decode.is_unsure(outputs[False])
    male = outputs[False]["gender"][:, 1] if "gender" in outputs[False] else outputs[False]["p_male"][:, 0]
    np.testing.assert_array_equal(unsure, (male > 0.2) & (male < 0.8))
    assert 0 < unsure.sum() < len(chips)
    for key, values in outputs["unsure"].items():
        np.testing.assert_allclose(values[unsure], outputs[True][key][unsure], atol=1e-6)
        np.testing.assert_array_equal(values[~unsure], outputs[False][key][~unsure])
    assert len(ways["unsure"].predict_chips(chips[:0]).age) == 0


def test_a_network_without_genders_is_unsure_of_none() -> None:
    heads = {
        "age": {"output": "age", "decode": "years", "std": 9.0},
        "gender": {"output": "p", "decode": "probability"},
    }
    outputs = {"age": np.ones((3, 1), np.float32), "p": np.float32([[0.5], [0.1], [0.75]])}
    assert Decoder(heads).is_unsure(outputs).tolist() == [True, False, True]
    assert not Decoder(with_untrained(heads, ["gender"])).is_unsure(outputs).any()


@pytest.mark.parametrize(("written", "flip"), [("1", True), ("0", False), ("", False), ("unsure", "unsure")])
def test_the_file_says_whether_faces_are_flipped(written: str, flip: bool | str, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", PLAIN, YEARS, flip=written)
    assert load_predictor(path).flip == flip
    assert load_predictor(path, flip=not flip).flip is not flip
    with pytest.raises(ValueError, match="flip must be True, False or 'unsure', got 'often'"):
        load_predictor(path, flip="often")  # type: ignore[arg-type]


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from agegender_core import onnx_runtime

    assert load_predictor("ssrnet", device="auto").provider == load_predictor("ssrnet", device="cpu").provider
    with pytest.raises(DeviceError, match=r"device must be auto or one of cuda, .*, cpu, got 'gpu'"):
        load_predictor("ssrnet", device="gpu")
    absent = next(name for name, provider in DEVICES.items() if provider not in onnxruntime.get_available_providers())
    with pytest.raises(DeviceError, match=f"device '{absent}' can't be used: the ONNX Runtime .* has cpu only"):
        load_predictor("ssrnet", device=absent)

    class Session:
        def __init__(self, source: object, options: object, providers: list[str]) -> None:
            self.asked_for = providers

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    class Runtime:
        SessionOptions = onnxruntime.SessionOptions
        InferenceSession = Session

        @staticmethod
        def get_available_providers() -> list[str]:
            return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(onnx_runtime, "onnxruntime", Runtime)
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert onnx_runtime.open_session(b"", device="auto").asked_for == both
    assert onnx_runtime.open_session(b"", device="cpu").asked_for == both[1:]
    # A wheel for GPUs on a machine without one falls back without a word.
    with pytest.raises(DeviceError, match=r"device 'cuda' can't be used: .* driver"):
        onnx_runtime.open_session(b"", device="cuda")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_models_under_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    shutil.copy(MODELS_PATH / "ssrnet.onnx", folder / "m.onnx")
    shutil.copy(LANDMARKS_PATH, folder / "l.dat")
    assert load_predictor(folder / "m.onnx").name == "ssrnet"
    assert Aligner(landmarks=folder / "l.dat").landmarks_sha256 == Aligner().landmarks_sha256
    for name in ("broken.onnx", "broken.dat"):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="is no ONNX model"):
        load_predictor(folder / "broken.onnx")
    with pytest.raises(OSError, match=r"broken\.dat"):
        Aligner(landmarks=folder / "broken.dat")


def test_the_runtimes_own_numbers_stay_out_of_messages(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelFileError) as caught:
        load_predictor(tmp_path / "m.onnx")
    assert "ONNXRuntimeError" not in str(caught.value)
