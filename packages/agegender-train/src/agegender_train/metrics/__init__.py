"""How good ages and genders are: figures, how sure they are, and whether one model is better than another.

All start from parts that are merged: `from_batch -> merge -> compute`. `Scores` keeps sums alone and is for running
figures; `Outcomes` keeps the faces, for what a sum doesn't tell (medians, resampling).
"""

from agegender_train.metrics.age_groups import age_groups, nearest_group
from agegender_train.metrics.comparison import BETTER, Comparison, Difference, compare
from agegender_train.metrics.estimates import GAPS, estimate
from agegender_train.metrics.outcomes import Outcomes
from agegender_train.metrics.scores import BANDS, GENDER_BINS, Scores

__all__ = [
    "BANDS",
    "BETTER",
    "GAPS",
    "GENDER_BINS",
    "Comparison",
    "Difference",
    "Outcomes",
    "Scores",
    "age_groups",
    "compare",
    "estimate",
    "nearest_group",
]
