"""Evaluates a model on aligned stores. Imports no framework: any predictor on chips will do."""

from agegender_train.evaluation.cutting import realigned, require_same_cut
from agegender_train.evaluation.predicting import ChipPredictor, Evaluation, Failure, evaluate

__all__ = ["ChipPredictor", "Evaluation", "Failure", "evaluate", "realigned", "require_same_cut"]
