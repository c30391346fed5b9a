"""Age and gender from faces: detection, alignment, prediction and tracking."""

from importlib.metadata import version as _version

from .align import Aligner
from .detect import HogDetector
from .faces import Faces, Frame, Stage
from .images import ImageError, decode_image, read_image
from .predict import ModelFileError, Prediction, Predictor, load_predictor
from .preprocess import preprocess
from .spec import PreprocessSpec

__version__ = _version("agegender-core")

__all__ = [
    "Aligner",
    "Faces",
    "Frame",
    "HogDetector",
    "ImageError",
    "ModelFileError",
    "Prediction",
    "Predictor",
    "PreprocessSpec",
    "Stage",
    "__version__",
    "decode_image",
    "load_predictor",
    "preprocess",
    "read_image",
]
