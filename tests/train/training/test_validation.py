"""Validation measures what users of the model file get."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from agegender_core.decoding import Decoder
from agegender_core.spec import PreprocessSpec
from agegender_train.metrics import Scores
from agegender_train.models import get_network
from agegender_train.runs.settings import Settings
from agegender_train.store import Labels
from agegender_train.training.objective import Objective
from agegender_train.training.validation import validate

SIDE = 8
SPEC = PreprocessSpec(input_size=SIDE, chip_size=SIDE)


class Faces:
    """Chips whose first pixel is the number of the face."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def chips(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        chips = np.zeros((len(rows), SIDE, SIDE, 3), np.uint8)
        chips[:, 0, 0] = rows[:, None]
        return chips


class Model:
    """Answers what it was made with, by the number in the chip."""

    def __init__(self, outputs: dict[str, npt.NDArray[np.float32]]) -> None:
        self.outputs = outputs

    def predict_on_batch(self, batch: npt.NDArray[np.float32]) -> dict[str, Any]:
        rows = batch[:, 0, 0, 0].astype(int)
        return {name: values[rows] for name, values in self.outputs.items()}


def known(ages: list[float], genders: list[int]) -> Labels:
    n = len(ages)
    age = np.array(ages, np.float32)
    nothing = np.full(n, None, object)
    key = np.array([str(row) for row in range(n)], object)
    return Labels(age, age, np.array(genders, np.int8), key=key, subject=nothing, group=nothing, split=nothing)


def test_a_network_that_gives_years_is_read_as_its_model_file_will_be() -> None:
    network = get_network("ssrnet")
    outputs = {
        "age": np.array([[-8.0], [30.0], [-1.0]], np.float32),  # no age is below 0
        "p_male": np.array([[1.25], [0.4], [-0.5]], np.float32),
    }
    labels = known([0, 33, 2], [1, 0, 1])
    objective = Objective(network, Settings(model="ssrnet"))
    figures, loss = validate(
        Model(outputs), network.decoder, objective, Faces(labels), np.arange(3), SPEC, batch_size=2
    )
    assert figures["age_mae"] == pytest.approx((0 + 3 + 2) / 3)
    exported = Decoder({"age": {**network.heads["age"], "std": 5.0}, "gender": network.heads["gender"]})(outputs)
    assert figures == Scores.from_batch(exported.age, exported.p_male, labels).compute()
    # What is trained is what the network says, not what users get.
    assert loss == pytest.approx(objective.value(outputs, labels))


def test_a_network_with_a_distribution() -> None:
    network = get_network("mobilenetv2")
    probs = np.zeros((2, 101), np.float32)
    probs[0, [20, 40]] = 0.25, 0.75
    probs[1, 60] = 1
    outputs = {"age": probs, "gender": np.array([[0.8, 0.2], [0.1, 0.9]], np.float32)}
    labels = known([30, 61], [0, 1])
    objective = Objective(network, Settings(model="mobilenetv2"))
    figures, _ = validate(Model(outputs), network.decoder, objective, Faces(labels), np.arange(2), SPEC, batch_size=8)
    assert figures["age_mae"] == pytest.approx(3.0)
    assert figures["gender_accuracy"] == 1.0
