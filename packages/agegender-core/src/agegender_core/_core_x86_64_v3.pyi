"""Parts of `_core`, compiled for x86-64-v3."""

from ._core import HogFaceDetector as HogFaceDetector
from ._core import augment as augment
