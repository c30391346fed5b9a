"""From a dataset's pictures to an aligned store."""

from agegender_train.preprocessing.job import Progress, preprocess

__all__ = ["Progress", "preprocess"]
