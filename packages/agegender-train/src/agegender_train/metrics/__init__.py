"""How good ages and genders are: figures, their intervals, and whether one model is better than another.

All start from parts that are merged: `from_batch -> merge -> compute`. `Scores` keeps only sums, for running figures;
`Outcomes` keeps the faces, for what sums don't give (medians, resampling).
"""

from agegender_train.metrics.comparison import BETTER, Comparison, Difference, compare
from agegender_train.metrics.errors import age_deviation, age_error, age_groups, gender_error, nearest_group
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
    "age_deviation",
    "age_error",
    "age_groups",
    "compare",
    "estimate",
    "gender_error",
    "nearest_group",
]
