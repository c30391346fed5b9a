"""Age and gender from faces: detection, alignment, prediction and tracking."""

import warnings as _warnings

from .align import Aligner
from .analyze import analyze
from .annotated import Annotated
from .blur import FaceBlur
from .boxes import iou
from .decoding import Prediction
from .detect import HogDetector
from .draw import draw_faces
from .face import Face
from .faces import Faces, Stage
from .frames import Frame
from .high_confidence import HighConfidenceFilter
from .images import ImageError, decode_image, read_image, write_image
from .looks import LookPlan
from .onnx_runtime import DeviceError, ModelFileError
from .openvino_runtime import RuntimeChoiceError
from .pipeline import FrameResult, Pipeline
from .pipeline import face_tracker as face_tracker
from .predict import Predictor, load_predictor
from .preprocess import preprocess
from .quality import FaceQuality
from .records import face_records, frame_record
from .sinks import (
    CsvSink,
    DrawnSink,
    JsonlSink,
    MotSink,
    NullSink,
    ParquetSink,
    SegmentedSink,
    SinkError,
    SummarySink,
    VideoSink,
    WindowSink,
)
from .smoothing import Smoother
from .sources import LiveSource, Recording, Source, SourceError, SourceLostError, TimedFrame, open_source, take_turns
from .spec import PreprocessSpec
from .stages import BatchStage, VideoStage
from .telemetry import Telemetry
from .tracking import FaceTracker, SortTracker, TrackStage
from .yunet import YuNetDetector

__version__: str

__all__ = [
    "Aligner",
    "Annotated",
    "BatchStage",
    "CsvSink",
    "DeviceError",
    "DrawnSink",
    "Face",
    "FaceBlur",
    "FaceQuality",
    "FaceTracker",
    "Faces",
    "Frame",
    "FrameResult",
    "HighConfidenceFilter",
    "HogDetector",
    "ImageError",
    "JsonlSink",
    "LiveSource",
    "LookPlan",
    "ModelFileError",
    "MotSink",
    "NullSink",
    "ParquetSink",
    "Pipeline",
    "Prediction",
    "Predictor",
    "PreprocessSpec",
    "Recording",
    "RuntimeChoiceError",
    "SegmentedSink",
    "SinkError",
    "Smoother",
    "SortTracker",
    "Source",
    "SourceError",
    "SourceLostError",
    "Stage",
    "SummarySink",
    "Telemetry",
    "TimedFrame",
    "TrackStage",
    "VideoSink",
    "VideoStage",
    "WindowSink",
    "YuNetDetector",
    "__version__",
    "analyze",
    "decode_image",
    "draw_faces",
    "face_records",
    "frame_record",
    "iou",
    "load_predictor",
    "open_source",
    "preprocess",
    "read_image",
    "take_turns",
    "write_image",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        # Not before somebody asks: a fifth of the time of this import.
        from importlib.metadata import version

        return globals().setdefault(name, version("agegender-core"))
    if name == "SureFaces":
        _warnings.warn("SureFaces is now called HighConfidenceFilter", DeprecationWarning, stacklevel=2)
        return HighConfidenceFilter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
