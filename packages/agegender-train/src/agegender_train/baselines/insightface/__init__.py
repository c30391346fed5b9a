"""InsightFace's gender-age network of MXNet: read, converted, and run on our chips without MXNet."""

from agegender_train.baselines.insightface.conversion import build_insightface, convert_insightface
from agegender_train.baselines.insightface.mtcnn_points import MTCNNPoints
from agegender_train.baselines.insightface.points import FixedPoints, PointFinder, YuNetPoints
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
