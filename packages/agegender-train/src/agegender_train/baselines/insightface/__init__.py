"""InsightFace's gender-age network: read from MXNet's files, converted to ONNX, and run on our chips without MXNet."""

from agegender_train.baselines.insightface.conversion import build_insightface, convert_insightface
from agegender_train.baselines.insightface.points import FixedPoints, MTCNNPoints, PointFinder, YuNetPoints
from agegender_train.baselines.insightface.predictor import InsightFace

__all__ = [
    "FixedPoints",
    "InsightFace",
    "MTCNNPoints",
    "PointFinder",
    "YuNetPoints",
    "build_insightface",
    "convert_insightface",
]
