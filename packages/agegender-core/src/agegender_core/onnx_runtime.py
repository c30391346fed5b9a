"""ONNX Runtime and its devices, imported here and nowhere else, so that nothing of it reports to its makers.

From 1.29 on it sends telemetry from Linux, too: it writes a device id and a database into the home folder and connects
to a host, as soon as it is imported; ``disable_telemetry_events`` comes too late for that. Who wants to send it sets
``ORT_DISABLE_TELEMETRY=0`` in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .files import is_utf8

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] == "1":
    # Older versions know nothing of the variable: on Windows their wheels report by themselves.
    onnxruntime.disable_telemetry_events()


def part(name: str) -> Any:
    """A part of ONNX Runtime that isn't imported with it, such as "quantization"."""
    return import_module(f"onnxruntime.{name}")


class ModelFileError(ValueError):
    """A file that is no model of agegender's, or of a format that this version does not know."""


DEVICES: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's provider for each device, the fastest first."""

_NO_MODEL = ("protobuf parsing failed", "no graph was found in the protobuf")
"""What ONNX Runtime says of text, of half a model, and of nothing."""


class DeviceError(ValueError):
    """A device that is unknown, or that ONNX Runtime can't use here."""


def open_session(model: Path | bytes, threads: int = 1, name: str = "the model", device: str = "cpu") -> Any:
    """An ONNX Runtime session. It sends nothing anywhere, and warnings stay off stderr.

    Args:
        model: an ONNX file, or its bytes.
        threads: within one call.
        name: what to call bytes in the error; a file is called by its path.
        device: one of `DEVICES`, or "auto" for the first of them that can be used here.

    Raises:
        ModelFileError: it is no ONNX model, or one that ONNX Runtime can't run.
        DeviceError: no such device, or it can't be used here.
    """
    providers = providers_of(device)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source: str | bytes = model if isinstance(model, bytes) else str(model)
    if isinstance(model, Path):
        name = str(model)
        if not is_utf8(model):
            source = model.read_bytes()  # such a path can't be handed over
    try:
        session = onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:
        # ONNX Runtime raises a dozen classes of its own, which share no base but Exception.
        reason = runtime_reason(error)
        if any(sign in reason.lower() for sign in _NO_MODEL):
            raise ModelFileError(f"{name} is no ONNX model: it is cut off, or a file of another kind") from None
        raise ModelFileError(f"{name} is no ONNX model that can be run: {reason}") from None
    if device != "auto" and providers[0] not in session.get_providers():
        raise DeviceError(
            f"device '{device}' can't be used: ONNX Runtime knows it, but its driver or libraries do not load here"
        )
    return session


def providers_of(device: str) -> list[str]:
    """ONNX Runtime's providers for a device, or for "auto", in the order in which it tries them.

    Raises:
        DeviceError: no such device, or the ONNX Runtime that is installed doesn't know it.
    """
    available = onnxruntime.get_available_providers()
    here = [name for name, provider in DEVICES.items() if provider in available]
    if device == "auto":
        return [DEVICES[name] for name in here]
    if device not in DEVICES:
        raise DeviceError(f"device must be auto or one of {', '.join(DEVICES)}, got '{device}'")
    if device not in here:
        error = DeviceError(
            f"device '{device}' can't be used: the ONNX Runtime that is installed has {' and '.join(here)} only"
        )
        if device == "cuda":
            error.add_note(
                "pip uninstall onnxruntime, then pip install onnxruntime-gpu (the extra agegender-core[gpu])"
            )
        raise error
    return [DEVICES[device], *([DEVICES["cpu"]] if device != "cpu" else [])]


def runtime_reason(error: Exception) -> str:
    """What ONNX Runtime says of an error, without the codes before it and the path that whoever reads it has named.

    >>> runtime_reason(Exception("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from a.onnx failed:Protobuf"))
    'Protobuf'
    """
    text = re.sub(r"^\[ONNXRuntimeError\]\s*:\s*\d+\s*:\s*\w+\s*:\s*", "", str(error).strip())
    return re.sub(r"^Load model from .+? failed:\s*", "", text, flags=re.DOTALL)
