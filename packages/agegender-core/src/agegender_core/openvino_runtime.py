"""OpenVINO, imported here and nowhere else, so that it reports nothing to its makers.

When OpenVINO is imported and finds the package ``openvino_telemetry``, which pip installs beside it, it sends an event
to a host and keeps a client id in the home folder. It works without that package.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .decoding import Floats
from .onnx_runtime import ModelFileError

INSTALL = "pip install openvino (the extra agegender-core[openvino])"
_TELEMETRY = "openvino_telemetry"
_importing = threading.Lock()


class RuntimeChoiceError(ValueError):
    """A runtime that is unknown, not installed, or not for this device."""


def is_installed() -> bool:
    """Whether OpenVINO can be imported; nothing is loaded for the answer."""
    return find_spec("openvino") is not None


def openvino() -> Any:
    """The package openvino, without its telemetry.

    Raises:
        RuntimeChoiceError: it isn't installed.
    """
    with _importing:
        hidden = "openvino" not in sys.modules and _TELEMETRY not in sys.modules
        if hidden:
            sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # what makes its import fail
        try:
            return import_module("openvino")
        except ImportError as error:
            reason = RuntimeChoiceError("the runtime openvino is not installed, or does not load here")
            reason.add_note(INSTALL)
            raise reason from error
        finally:
            if hidden:
                del sys.modules[_TELEMETRY]


class OpenVinoNetwork:
    """An ONNX model that OpenVINO runs on the CPU, in float32 throughout; see `agegender_core.runtimes.Network`.

    Raises:
        ModelFileError: it is no ONNX model, or one that OpenVINO can't run.
        RuntimeChoiceError: OpenVINO isn't installed.
    """

    provider = "OpenVINO"

    def __init__(self, path: Path, threads: int = 1) -> None:
        module = openvino()
        settings = {
            # Newer processors would otherwise compute in bfloat16, which has three digits.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            core = module.Core()
            model = core.read_model(path.read_bytes())
            self._compiled = core.compile_model(model, "CPU", settings)
            there = model.get_rt_info()
            kept = model.get_rt_info("framework").value if "framework" in there else {}
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ModelFileError(f"{path} is no ONNX model that OpenVINO can run: {last}") from None
        self.metadata = {str(key): str(getattr(text, "value", text)) for key, text in kept.items()}
        (first, *_) = self._compiled.inputs
        self.input_name: str = first.any_name
        self.input_shape = tuple(size.get_length() if size.is_static else None for size in first.partial_shape)
        self.output_names: tuple[str, ...] = tuple(output.any_name for output in self._compiled.outputs)
        self._idle: list[Any] = []

    def run(self, names: tuple[str, ...], inputs: Floats) -> dict[str, Floats]:
        """See `agegender_core.runtimes.Network`."""
        # A request holds its outputs' memory: no two threads may have one at a time.
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            request.infer([inputs], share_inputs=True)
            return {name: np.array(request.get_tensor(name).data) for name in names}
        finally:
            self._idle.append(request)
