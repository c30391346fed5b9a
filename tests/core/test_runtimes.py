"""ONNX Runtime and OpenVINO give the same, and "auto" takes the faster without changing an answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core import openvino_runtime, runtimes
from agegender_core.onnx_runtime import ModelFileError
from agegender_core.predict import MODELS, MODELS_PATH, load_predictor
from agegender_core.runtimes import OnnxNetwork, RuntimeChoiceError, open_network

TINY = MODELS_PATH / "ssrnet.onnx"

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="the package openvino is not installed")


def inputs_of(network: Any, faces: int) -> Any:
    shape = [faces, *(size or 1 for size in network.input_shape[1:])]
    return np.random.default_rng(1).random(shape, dtype=np.float32)


@needs_openvino
@pytest.mark.parametrize("model", MODELS)
def test_both_give_the_same(model: str) -> None:
    ours, other = (load_predictor(model, runtime=name) for name in ("onnxruntime", "openvino"))
    assert (ours.provider, other.provider) == ("CPUExecutionProvider", "OpenVINO")
    assert other.metadata == ours.metadata
    size = ours.spec.chip_size
    chips = np.random.default_rng(2).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    found, expected = other.predict_chips(chips), ours.predict_chips(chips)
    np.testing.assert_allclose(found.age, expected.age, rtol=0, atol=1e-3)  # years
    np.testing.assert_allclose(found.p_male, expected.p_male, rtol=0, atol=1e-4)
    outputs = ours.raw_outputs(chips)
    for name, values in other.raw_outputs(chips).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, outputs[name], rtol=0, atol=1e-4)
    assert len(other.predict_chips(chips[:0]).age) == 0


@needs_openvino
def test_one_network_in_many_threads() -> None:
    network = open_network(TINY, runtime="openvino")
    batches = [inputs_of(network, faces) for faces in (1, 2, 3, 4)]
    expected = [network.run(network.output_names, batch) for batch in batches]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            found = network.run(network.output_names, batches[number])
            if any(not np.array_equal(found[name], expected[number][name]) for name in found):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_openvino
def test_what_openvino_can_not_read(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"m\.onnx is no ONNX model that OpenVINO can run: \S"):
        load_predictor(tmp_path / "m.onnx", runtime="openvino")


@needs_openvino
@pytest.mark.slow
def test_nothing_reports_and_the_telemetry_stays_importable() -> None:
    program = (
        "import sys; from agegender_core import openvino_runtime as o; o.openvino();"
        "print(sorted(name for name in sys.modules if 'openvino_telemetry' in name))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_can_not_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeChoiceError, match="runtime must be auto, onnxruntime or openvino, got 'tflite'"):
        load_predictor("tiny", runtime="tflite")
    with pytest.raises(RuntimeChoiceError, match="openvino runs on the CPU: device 'cuda' is for onnxruntime"):
        load_predictor("tiny", runtime="openvino", device="cuda")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(RuntimeChoiceError, match="the runtime openvino is not installed") as caught:
        load_predictor("tiny", runtime="openvino")
    assert caught.value.__notes__ == ["pip install openvino (the extra agegender-core[openvino])"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Sets the seconds that each runtime seems to take; the list that comes back grows with each measurement.

    ONNX Runtime stands in for OpenVINO, too, whose outputs are `shift` more.
    """

    def set_times(ours: float, other: float, shift: float = 0.0) -> list[int]:
        measured: list[int] = []
        now = [0.0]
        measure = runtimes._measure

        class Ours(OnnxNetwork):
            def run(self, names: Any, inputs: Any) -> Any:
                now[0] += ours
                return super().run(names, inputs)

        class Other(OnnxNetwork):
            def __init__(self, path: Path, threads: int = 1) -> None:
                super().__init__(path, threads)
                self.provider = "OpenVINO"

            def run(self, names: Any, inputs: Any) -> Any:
                now[0] += other
                return {name: values + np.float32(shift) for name, values in super().run(names, inputs).items()}

        def counted(*networks: Any) -> Any:
            measured.append(1)
            return measure(*networks)

        monkeypatch.setattr(runtimes, "OnnxNetwork", Ours)
        monkeypatch.setattr(runtimes, "OpenVinoNetwork", Other)
        monkeypatch.setattr(openvino_runtime, "is_installed", lambda: True)
        monkeypatch.setattr(runtimes, "perf_counter", lambda: now[0])
        monkeypatch.setattr(runtimes, "_measure", counted)
        return measured

    return set_times


@pytest.mark.parametrize(
    ("other", "shift", "chosen"),
    [(0.5, 0.0, "OpenVINO"), (0.95, 0.0, "CPUExecutionProvider"), (0.5, 0.001, "CPUExecutionProvider")],
)
def test_the_faster_one_that_gives_the_same(
    other: float, shift: float, chosen: str, clock: Callable[..., list[int]], folder: Path
) -> None:
    measured = clock(1.0, other, shift)
    assert load_predictor("tiny", runtime="auto").provider == chosen
    (kept,) = folder.iterdir()
    assert json.loads(kept.read_bytes())["runtime"] == ("openvino" if chosen == "OpenVINO" else "onnxruntime")
    assert load_predictor("tiny", runtime="auto").provider == chosen
    assert len(measured) == 1  # The second time it is read.
    assert load_predictor("tiny", runtime="auto", threads=2).provider == chosen
    assert len(measured) == len(list(folder.iterdir())) == 2


def test_only_the_chosen_one_is_loaded_again(
    clock: Callable[..., list[int]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(1.0, 0.5)
    load_predictor("tiny", runtime="auto", device="auto")
    monkeypatch.setattr(runtimes, "OnnxNetwork", None)
    monkeypatch.setattr(runtimes, "providers_of", lambda device: ["CPUExecutionProvider"])
    assert load_predictor("tiny", runtime="auto", device="auto").provider == "OpenVINO"


def test_the_content_of_the_model_counts(clock: Callable[..., list[int]], folder: Path, tmp_path: Path) -> None:
    measured = clock(1.0, 0.5)
    shutil.copy(TINY, tmp_path / "mine.onnx")
    for path in (TINY, tmp_path / "mine.onnx"):
        load_predictor(path, runtime="auto")
    assert len(measured) == 1
    shutil.copy(MODELS_PATH / "mobilenetv2.onnx", tmp_path / "mine.onnx")
    load_predictor(tmp_path / "mine.onnx", runtime="auto")
    assert len(measured) == 2


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"runtime": "tflite"}', b"\xff{"])
def test_a_broken_file_is_measured_again(broken: bytes, clock: Callable[..., list[int]], folder: Path) -> None:
    measured = clock(1.0, 0.5)
    load_predictor("tiny", runtime="auto")
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(broken)
    load_predictor("tiny", runtime="auto")
    assert len(measured) == 2
    assert kept.read_bytes() == whole
    assert list(folder.iterdir()) == [kept]


def test_a_folder_that_can_not_be_written(clock: Callable[..., list[int]], folder: Path) -> None:
    folder.write_text("a file")
    clock(1.0, 0.5)
    assert load_predictor("tiny", runtime="auto").provider == "OpenVINO"


def test_without_openvino_nothing_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runtime, "is_installed", lambda: False)
    monkeypatch.setattr(runtimes, "_measure", None)
    assert load_predictor("tiny", runtime="auto").provider == "CPUExecutionProvider"
    assert not folder.exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGEGENDER_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, expected in (("", ".cache"), ("relative", ".cache"), (str(tmp_path / "there"), "there")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert runtimes.cache_folder() == tmp_path / expected / "agegender"
