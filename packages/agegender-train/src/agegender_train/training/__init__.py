"""Training of networks on aligned stores, on any backend of Keras."""

from agegender_train.training.epochs import TrainingProgress
from agegender_train.training.loop import RunResult, train

__all__ = ["RunResult", "TrainingProgress", "train"]
