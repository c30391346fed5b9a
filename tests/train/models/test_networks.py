"""Every network trains from a store, in both phases, and leaves a model file that the runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_core.predict import load_predictor
from agegender_train.batches.augmentation import Augmentation
from agegender_train.models import network_names, recommended
from agegender_train.models._norm import BatchNormalization
from agegender_train.models.ssrnet import SoftStagewiseRegression
from agegender_train.store import Store
from agegender_train.training import train

SMALL: dict[str, dict[str, Any]] = {
    "inceptionv3": {"input_size": 75, "weights": "none", "batch_size": 8, "learning_rate": 0.0003},
    "mobilenetv2": {"input_size": 32, "weights": "none", "model_options": {"alpha": 0.1, "dropout": 0}},
    "mobilenetv3": {"input_size": 32, "weights": "none", "model_options": {"alpha": 0.1, "dropout": 0}},
    "ssrnet": {"model_options": {"width": 0.25}, "learning_rate": 0.01},
}
# Of the layers of MobileNetV2: test_efficientnet_lite.py has one of them take a step, which needs no minute.
ELSEWHERE = ["efficientnetlite0", "efficientnetlite1", "efficientnetlite2"]
# What a few steps teach a small network must not drown in chance: no dropout, and faces as they are.
PLAIN = {"augmentation": Augmentation.none(), "seed": 2}


def test_none_is_forgotten() -> None:
    assert sorted([*SMALL, *ELSEWHERE]) == network_names()


def test_layers_stay_in_the_modules_that_older_checkpoints_name() -> None:
    for layer, module in ((BatchNormalization, "_norm"), (SoftStagewiseRegression, "ssrnet")):
        assert keras.saving.serialize_keras_object(layer())["module"] == f"agegender_train.models.{module}"


def assert_it_predicts(name: str, model: Path, store: Store) -> None:
    predictor = load_predictor(model)
    assert predictor.name == name
    prediction = predictor.predict_chips(store.decode(np.arange(4)))
    assert ((prediction.age >= 0) & (prediction.age <= 100)).all()
    assert (prediction.age_probs is None) == (name == "ssrnet")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"mobilenetv2"}))  # which the test after this one trains
def test_two_epochs_lower_the_loss(name: str, make_store: Any, tmp_path: Path) -> None:
    store = make_store(n=64 if name == "inceptionv3" else 96)
    asked = {"epochs": 2, "batch_size": 8, "validation_fraction": 0.0, "ema": 0.0, **PLAIN, **SMALL[name]}
    result = train([store], tmp_path / "run", recommended(name, **asked, frozen_epochs=0))
    losses = [row["loss"] for row in result.history]
    assert losses[1] < losses[0]
    assert_it_predicts(name, result.model, store)


@pytest.mark.slow
def test_heads_learn_first_and_the_trunk_after_them(make_store: Any, tmp_path: Path) -> None:
    store = make_store(n=64)
    asked = {"epochs": 3, "frozen_epochs": 1, "batch_size": 8, **PLAIN}
    options = {**SMALL["mobilenetv2"], **asked, "validation_fraction": 0.2}
    result = train([store], tmp_path / "run", recommended("mobilenetv2", **options))
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    # Not below the first epoch's, in which a trunk that knows nothing stood still.
    assert result.history[2]["loss"] < result.history[1]["loss"]
    rates = [row["learning_rate"] for row in result.history]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[2] < rates[0]
    assert_it_predicts("mobilenetv2", result.model, store)
