"""Losses for labels with age intervals and missing values.

Labels are float (n, 2), low and high in years, and float (n, 1), 1 male and 0 female. A missing label is any finite
number with a sample weight of 0: the caller masks, the losses never see a NaN.
"""

from __future__ import annotations

from typing import Any

from agegender_core.spelling import with_near_names
from agegender_train.losses.ages import (
    AgeDistillationLoss,
    AgeDistributionLoss,
    IntervalAgeLoss,
    IntervalCrossEntropy,
    LabelDistributionLoss,
    MeanVarianceLoss,
    OrdinalLoss,
)
from agegender_train.losses.gender import GenderLoss

__all__ = [
    "AGE_LOSSES",
    "AgeDistillationLoss",
    "AgeDistributionLoss",
    "GenderLoss",
    "IntervalAgeLoss",
    "IntervalCrossEntropy",
    "LabelDistributionLoss",
    "MeanVarianceLoss",
    "OrdinalLoss",
    "make_age_loss",
]

AGE_LOSSES: dict[str, type[Any]] = {
    "expected": IntervalAgeLoss,
    "cross-entropy": IntervalCrossEntropy,
    "mean-variance": MeanVarianceLoss,
    "ordinal": OrdinalLoss,
    "distribution": LabelDistributionLoss,
}
"""By the names that `Settings.age_loss` takes."""


def make_age_loss(name: str, decode: str, **options: float) -> Any:
    """The loss called `name`.

    Args:
        name: one of `AGE_LOSSES`.
        decode: how the network's age head is decoded: "expected" for probabilities, "years".
        options: the loss's own arguments.

    Raises:
        ValueError: there is no such loss, it has no such option, or it needs a distribution that the head doesn't
            give.
    """
    if name not in AGE_LOSSES:
        unknown = ValueError(f"age_loss must be one of {', '.join(AGE_LOSSES)}, got {name!r}")
        raise with_near_names(unknown, name, AGE_LOSSES)
    if decode != "expected" and name != "expected":
        raise ValueError(
            f'age_loss {name!r} needs a network with a probability for each age; this one takes "expected"'
        )
    try:
        return AGE_LOSSES[name](**options)
    except TypeError as error:
        raise ValueError(f"age_loss {name!r}: {error}") from None
