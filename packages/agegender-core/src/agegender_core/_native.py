"""Which build of the native detector this CPU runs."""

from __future__ import annotations

import os
from typing import Any

from . import _core


def hog_face_detector() -> tuple[Any, str]:
    """The native detector class for this CPU and the name of its build: "x86-64-v3" or "baseline".

    ``AGEGENDER_SIMD=baseline`` in the environment asks for the build that runs everywhere.
    """
    if os.environ.get("AGEGENDER_SIMD") != "baseline" and _core.cpu_supports_x86_64_v3():
        try:
            from . import _detector_x86_64_v3
        except ImportError:
            pass
        else:
            return _detector_x86_64_v3.HogFaceDetector, "x86-64-v3"
    return _core.HogFaceDetector, "baseline"
