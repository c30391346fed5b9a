"""Datasets, training, export and evaluation of age and gender networks."""

import os as _os
import platform as _platform
from importlib.metadata import version as _version

__version__ = _version("agegender-train")

if _platform.machine() in ("x86_64", "AMD64"):
    # By itself TensorFlow takes oneDNN's convolutions only on CPUs with instructions made for networks (AVX-512 VNNI and
    # later), though with AVX2, too, they halve the time of SSR-Net's steps. It looks here once, when it is imported.
    _os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
