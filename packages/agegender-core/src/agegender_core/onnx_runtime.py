"""ONNX Runtime, imported here and nowhere else, so that nothing of it reports to its makers.

From 1.29 on it sends telemetry from Linux, too: it writes a device id and a database into the home folder and connects
to a host, as soon as it is imported; ``disable_telemetry_events`` comes too late for that. Who wants to send it sets
``ORT_DISABLE_TELEMETRY=0`` in the environment.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] == "1":
    # Older versions know nothing of the variable: on Windows their wheels report by themselves.
    onnxruntime.disable_telemetry_events()


def part(name: str) -> Any:
    """A part of ONNX Runtime that isn't imported with it, such as "quantization"."""
    return import_module(f"onnxruntime.{name}")
