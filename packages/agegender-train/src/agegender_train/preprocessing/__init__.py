"""From a dataset's pictures to an aligned store."""

from agegender_train.preprocessing.job import preprocess
from agegender_train.preprocessing.making import Progress

__all__ = ["Progress", "preprocess"]
