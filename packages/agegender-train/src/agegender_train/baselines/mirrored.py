"""Averages the predictions of each chip and its mirror image, for any predictor on chips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec

if TYPE_CHECKING:
    from agegender_train.evaluation import ChipPredictor


@dataclass(frozen=True)
class Mirrored:
    """The mean of a predictor's answers for chips and for their mirror images; an interval is left out.

    Attributes:
        predictor: called twice for each batch.
    """

    predictor: ChipPredictor

    @property
    def name(self) -> str:
        """The predictor's."""
        return self.predictor.name

    @property
    def spec(self) -> PreprocessSpec:
        """The predictor's."""
        return self.predictor.spec

    @property
    def metadata(self) -> dict[str, str]:
        """The predictor's, if it has any."""
        return dict(getattr(self.predictor, "metadata", {}))

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 (n, S, S, 3)."""
        one = self.predictor.predict_chips(chips)
        other = self.predictor.predict_chips(np.ascontiguousarray(chips[:, :, ::-1]))

        def mean(name: str) -> Any:
            first, second = getattr(one, name), getattr(other, name)
            return None if first is None or second is None else (first + second) * np.float32(0.5)

        return Prediction(mean("age"), mean("age_std"), mean("p_male"), mean("age_probs"))
