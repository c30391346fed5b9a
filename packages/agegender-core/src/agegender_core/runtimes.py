"""The runtimes of a network: ONNX Runtime, OpenVINO where it is installed, and the choice of the faster one."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from . import openvino_runtime
from .cpus import cpu_name, usable_cpus
from .decoding import Floats
from .files import replacing
from .onnx_runtime import DEVICES, ModelFileError, open_session, providers_of
from .openvino_runtime import OpenVinoNetwork
from .openvino_runtime import RuntimeChoiceError as RuntimeChoiceError

RUNTIMES = ("onnxruntime", "openvino")
"""The names of the runtimes; "auto" is the faster of those that are installed."""

# OpenVINO takes half a second longer to load, which a small lead would not make up for.
_WORTH_IT = 0.9
_SAME = 1e-4
_FACES = (1, 4)
_ROUNDS = 9


class Network(Protocol):
    """A network that runs. It may be used from many threads at once.

    Attributes:
        provider: what runs it, as "CPUExecutionProvider" or "OpenVINO".
        input_name: of the network's first input.
        input_shape: the input's sizes; ``None`` for those that are left open, such as the number of faces.
        output_names: of all outputs.
        metadata: all of the file's metadata, text by key.
    """

    provider: str
    input_name: str
    input_shape: tuple[int | None, ...]
    output_names: tuple[str, ...]
    metadata: dict[str, str]

    def run(self, names: tuple[str, ...], inputs: Floats) -> dict[str, Floats]:
        """The outputs of these names, by name, for an input, all float32 arrays."""
        ...


class OnnxNetwork:
    """A model that ONNX Runtime runs on any device; see `Network` and `open_session`."""

    def __init__(self, path: Path, threads: int = 1, device: str = "cpu") -> None:
        self._session = open_session(path, threads, device=device)
        self.provider: str = self._session.get_providers()[0]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        (first, *_) = self._session.get_inputs()
        self.input_name: str = first.name
        self.input_shape = tuple(size if isinstance(size, int) else None for size in first.shape)
        self.output_names: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())

    def run(self, names: tuple[str, ...], inputs: Floats) -> dict[str, Floats]:
        """See `Network`."""
        return dict(zip(names, self._session.run(list(names), {self.input_name: inputs}), strict=True))


def open_network(path: Path, threads: int = 1, device: str = "cpu", runtime: str = "onnxruntime") -> Network:
    """Load an ONNX model file.

    Args:
        path: the file.
        threads: within one call.
        device: see `open_session`. OpenVINO is for "cpu" and "auto", and then runs on the CPU.
        runtime: one of `RUNTIMES`, or "auto": OpenVINO where it is installed, was measured at least a tenth faster, and
            gives the same to 1e-4; otherwise ONNX Runtime, as on any device but the CPU. What was measured is kept in
            the cache folder (see `cache_folder`), so that the next process need not measure.

    Raises:
        ModelFileError: it is no ONNX model, or one that can't be run.
        DeviceError: no such device, or it can't be used here.
        RuntimeChoiceError: no such runtime, it isn't installed, or it isn't for this device.
    """
    if runtime == "openvino":
        if device not in ("cpu", "auto"):
            raise RuntimeChoiceError(f"the runtime openvino runs on the CPU: device '{device}' is for onnxruntime")
        return OpenVinoNetwork(path, threads)
    if runtime not in (*RUNTIMES, "auto"):
        raise RuntimeChoiceError(f"runtime must be auto, {' or '.join(RUNTIMES)}, got '{runtime}'")
    if runtime == "onnxruntime" or not openvino_runtime.is_installed():
        return OnnxNetwork(path, threads, device)
    return _faster(path, threads, device)


def _faster(path: Path, threads: int, device: str) -> Network:
    kept = cache_folder() / f"runtime-{_key(path, threads)}.json"
    chosen = _read(kept)
    if chosen == "openvino" and providers_of(device) == [DEVICES["cpu"]]:
        return OpenVinoNetwork(path, threads)
    network = OnnxNetwork(path, threads, device)
    if chosen == "onnxruntime" or network.provider != DEVICES["cpu"]:
        return network
    try:
        other = OpenVinoNetwork(path, threads)
    except (ModelFileError, RuntimeChoiceError):
        return network
    if chosen is None:
        chosen, times = _measure(network, other)
        _write(kept, {"runtime": chosen, "median_ms": times})
    return other if chosen == "openvino" else network


def _measure(ours: Network, other: Network) -> tuple[str, dict[str, list[float]]]:
    """The runtime to take, and the medians in milliseconds for one face and for four."""
    names = ours.output_names
    random = np.random.default_rng(0)
    medians: dict[str, list[float]] = {name: [] for name in RUNTIMES}
    same = set(names) == set(other.output_names)
    for faces in _FACES if same else ():
        shape = [faces, *(size or 1 for size in ours.input_shape[1:])]
        inputs = random.random(shape, dtype=np.float32)
        expected, found = ours.run(names, inputs), other.run(names, inputs)
        same = same and all(np.allclose(found[name], expected[name], rtol=0, atol=_SAME) for name in names)
        times: dict[str, list[float]] = {name: [] for name in RUNTIMES}
        for _ in range(_ROUNDS):  # by turns, so that other work on the machine slows both
            for name, network in zip(RUNTIMES, (ours, other), strict=True):
                start = perf_counter()
                network.run(names, inputs)
                times[name].append(1000 * (perf_counter() - start))
        for name in RUNTIMES:
            medians[name].append(round(statistics.median(times[name]), 3))
    pairs = zip(medians["openvino"], medians["onnxruntime"], strict=True)
    faster = same and all(theirs < _WORTH_IT * mine for theirs, mine in pairs)
    return "openvino" if faster else "onnxruntime", medians


def _key(path: Path, threads: int) -> str:
    """What the measurement depends on, as a name: the model's content, threads, versions and the CPU."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and seldom needed

    parts: list[str | int] = [hashlib.sha256(path.read_bytes()).hexdigest(), threads, usable_cpus(), cpu_name()]
    for package in ("agegender-core", "onnxruntime", "openvino"):
        try:
            parts.append(version(package))
        except PackageNotFoundError:  # such as onnxruntime-gpu in the place of onnxruntime
            parts.append("")
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Where it is kept which runtime is the faster: ``$AGEGENDER_CACHE``, or agegender's folder in the user's cache."""
    if chosen := os.environ.get("AGEGENDER_CACHE"):
        return Path(chosen)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "agegender" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "agegender"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else home / ".cache") / "agegender"


def _read(path: Path) -> str | None:
    try:
        chosen = json.loads(path.read_bytes())["runtime"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return chosen if chosen in RUNTIMES else None


def _write(path: Path, content: dict[str, Any]) -> None:
    # A name of its own for each process and thread, since several may measure at once; the last file stays.
    temporary = f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, temporary) as unfinished:
            unfinished.write_text(json.dumps(content))
    except OSError:
        pass  # The next process measures again.
