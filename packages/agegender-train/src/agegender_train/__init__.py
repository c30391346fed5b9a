"""Datasets, training, export and evaluation of age and gender networks."""

from importlib.metadata import version as _version

__version__ = _version("agegender-train")
