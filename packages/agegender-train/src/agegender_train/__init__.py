"""Datasets, training, export and evaluation of age and gender networks."""

import os as _os
import platform as _platform
from importlib.metadata import version as _version

__version__ = _version("agegender-train")

if _platform.machine() in ("x86_64", "AMD64"):
    # By itself TensorFlow takes the convolutions of oneDNN only where a CPU has instructions made for networks (AVX-512
    # VNNI and later), though with AVX2 they are faster than its own, too. It looks here once, when it is imported.
    _os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
