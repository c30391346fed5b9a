"""The machine and the software that figures were measured with."""

from __future__ import annotations

import os
import platform
from typing import Any

import cv2
import numpy as np

from agegender_core.cpus import cpu_name, usable_cpus
from agegender_core.native import is_simd
from agegender_core.onnx_runtime import onnxruntime

# OpenCV's numbers for CPU features, from its cvdef.h; Python has no names for them.
_FEATURES = {"SSE4.2": 7, "FP16": 9, "AVX": 10, "AVX2": 11, "FMA3": 12, "AVX-512": 256, "NEON": 100}


def describe_machine() -> dict[str, Any]:
    """The machine and the software.

    Returns:
        A mapping with cpu (its name), cpus (all cores), usable_cpus (those that this process may use), simd (the build
        of the C++ core that runs here), cpu_features, system, and "versions" of agegender, onnxruntime, opencv, numpy
        and python.
    """
    from agegender_core import __version__

    return {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "usable_cpus": usable_cpus(),
        "simd": "x86-64-v3" if is_simd() else "baseline",
        "cpu_features": [name for name, number in _FEATURES.items() if cv2.checkHardwareSupport(number)],
        "system": platform.platform(),
        "versions": {
            "agegender": __version__,
            "onnxruntime": str(onnxruntime.__version__),
            "opencv": str(cv2.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def hardware_line(machine: dict[str, Any]) -> str:
    """`describe_machine` in one line."""
    versions = machine["versions"]
    return (
        f"{machine['cpu']}, {machine['usable_cpus']} of {machine['cpus']} cores, {' '.join(machine['cpu_features'])}; "
        f"C++ built for {machine['simd']}; agegender {versions['agegender']}, ONNX Runtime {versions['onnxruntime']}, "
        f"OpenCV {versions['opencv']}, NumPy {versions['numpy']}, Python {versions['python']}; {machine['system']}"
    )
