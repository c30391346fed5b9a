"""How far an exported file is from the Keras model: of its outputs, ages and genders, in time, and on a test set."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Decoder, Floats, Prediction
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.export.formats import Inference, Inputs
from agegender_train.export.trained import Outputs

PARITY = 1e-4
"""Greatest difference of any output of an fp32 file, in the output's unit."""

ROUNDED = {"fp16": (0.5, 0.02), "int8": (5.0, 0.1)}
"""Greatest mean differences in years and in the probability of male: more is a fault, not rounding."""


@dataclass(frozen=True)
class Drift:
    """How far an exported file is from Keras on some faces.

    Attributes:
        faces: number of the faces.
        outputs: greatest difference of any output, in the output's unit.
        years: greatest difference of an age; this and the next are ``None`` where the network has not learned ages.
        mean_years: mean difference of the ages.
        p_male: greatest difference of a probability of male; both are ``None`` where it has not learned genders.
        mean_p_male: mean difference of these.
    """

    faces: int
    outputs: float
    years: float | None
    mean_years: float | None
    p_male: float | None
    mean_p_male: float | None

    @classmethod
    def between(cls, one: Outputs, other: Outputs, decoder: Decoder) -> Drift:
        """The drift between the outputs `one`, of Keras, and `other` for the same faces.

        Raises:
            ValueError: an output is missing, has another shape or isn't finite.
        """
        for name in decoder.outputs:
            shapes = one[name].shape, other[name].shape if name in other else None
            if shapes[0] != shapes[1]:
                raise ValueError(f"output {name!r} must have shape {shapes[0]} as in Keras, got {shapes[1]}")
            if not np.isfinite(other[name]).all():
                raise ValueError(f"output {name!r} must be finite, got nan or inf")
        apart = max(float(np.abs(one[name] - other[name]).max()) for name in decoder.outputs)
        first, second = decoder(one), decoder(other)
        faces = len(one[decoder.outputs[0]])
        return cls(faces, apart, *_apart(first.age, second.age), *_apart(first.p_male, second.p_male))

    def refuse_beyond(self, precision: str) -> None:
        """Raises ValueError where the drift is more than `precision` explains."""
        if precision == "fp32":
            if not self.outputs <= PARITY:
                raise ValueError(
                    f"the file differs from Keras by {self.outputs:.1e}, above {PARITY:.0e}; nothing was written"
                )
            return
        years, p_male = ROUNDED[precision]
        found = [
            (self.mean_years, years, "{:.2f} years"),
            (self.mean_p_male, p_male, "{:.3f} in the probability of male"),
        ]
        known = [(apart, most, text) for apart, most, text in found if apart is not None]
        if not all(apart <= most for apart, most, _ in known):
            raise ValueError(
                f"the file differs from Keras by {' and '.join(text.format(apart) for apart, _, text in known)} on "
                f"average, more than {precision} explains ({' and '.join(str(most) for _, most, _ in known)}); "
                "nothing was written"
            )


def _apart(one: Floats | None, other: Floats | None) -> tuple[float | None, float | None]:
    """The greatest and the mean difference of two columns."""
    if one is None or other is None:
        return None, None
    apart = np.abs(one - other)
    return float(apart.max()), float(apart.mean())


def made_chips(spec: PreprocessSpec, n: int = 16) -> npt.NDArray[np.uint8]:
    """Synthetic chips with light and shade, the same each time: uint8 (n, S, S, 3)."""
    rng = np.random.default_rng(0)
    size = spec.chip_size
    chips = [cv2.resize(rng.uniform(0, 255, (7, 7, 3)), (size, size), interpolation=cv2.INTER_CUBIC) for _ in range(n)]
    noise = rng.normal(0, 8, (n, size, size, 3))
    return np.clip(np.stack(chips) + noise, 0, 255).astype(np.uint8)


def milliseconds(run: Inference, face: Inputs, times: int = 30) -> float:
    """Median time of one face, (1, s, s, 3), after five calls to warm up."""
    taken = []
    for number in range(times + 5):
        start = time.perf_counter()
        run(face)
        if number >= 5:
            taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1000


class ExportedPredictor:
    """An exported file of any format as a `ChipPredictor`, so that it can be evaluated.

    Args:
        name: of the file.
        spec: how its chips are cut.
        decoder: of its outputs.
        run: its inference.
    """

    def __init__(self, name: str, spec: PreprocessSpec, decoder: Decoder, run: Inference) -> None:
        self.name, self.spec, self._decoder, self._run = name, spec, decoder, run

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 (n, S, S, 3)."""
        return self._decoder(self._run(preprocess(chips, self.spec)))


@dataclass(frozen=True)
class PrecisionCost:
    """What a precision costs on a test set: the figures in fp32 and in the exported file.

    Attributes:
        test_set: its name.
        n: number of its faces.
        before: figures in fp32; see `metrics.Scores.compute`.
        after: figures of the exported file.
    """

    test_set: str
    n: int
    before: Mapping[str, float]
    after: Mapping[str, float]
