"""Calibration: a model's uncertainty, fitted on labelled faces that were held out."""

from agegender_train.calibration.heads import LEAST_FACES, LEVEL, calibrated_heads, plain_heads
from agegender_train.calibration.model_file import CalibrationResult, calibrate_model

__all__ = ["LEAST_FACES", "LEVEL", "CalibrationResult", "calibrate_model", "calibrated_heads", "plain_heads"]
