"""Uncertainty that holds: what a model says of its own errors, fitted on labelled faces that were kept aside."""

from agegender_train.calibration.heads import LEAST_FACES, LEVEL, calibrated_heads, plain_heads
from agegender_train.calibration.model_file import CalibrationResult, calibrate_model

__all__ = ["LEAST_FACES", "LEVEL", "CalibrationResult", "calibrate_model", "calibrated_heads", "plain_heads"]
