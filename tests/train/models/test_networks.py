"""Every network trains from a store, in both phases, and leaves a model file that the runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_core.predict import load_predictor
from agegender_train.batches.augmentation import Augmentation
from agegender_train.models import build_model, network_names, recommended
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
# Of the layers of MobileNetV2: one of them takes a step, which needs no minute.
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
@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"mobilenetv2"}))  # which the tests after this one train
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
    asked = {"epochs": 3, "frozen_epochs": 1, "train_from": "block_13_expand", "batch_size": 8, **PLAIN}
    options = {**SMALL["mobilenetv2"], **asked, "validation_fraction": 0.2}
    result = train([store], tmp_path / "run", recommended("mobilenetv2", **options))
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    # Not below the first epoch's, in which a trunk that knows nothing stood still.
    assert result.history[2]["loss"] < result.history[1]["loss"]
    rates = [row["learning_rate"] for row in result.history]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[2] < rates[0]
    assert_it_predicts("mobilenetv2", result.model, store)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("efficientnetlite0", {"drop_connect": 0.0}), ("mobilenetv2", {})])
def test_a_step_down_the_gradient_lowers_the_loss(name: str, options: dict[str, float]) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(name, input_size=64, alpha=0.1, dropout=0.0, **options)
    # Normalised over few faces, a network this narrow is steep: the step must be tiny.
    model.compile(keras.optimizers.SGD(1e-5), {"age": "mse", "gender": "categorical_crossentropy"}, run_eagerly=True)
    faces = np.random.default_rng(2).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)
    inputs = keras.tree.map_structure(lambda _: faces, model.input)  # some have a list of one
    truth = {"age": np.eye(101, dtype=np.float32)[:8], "gender": np.eye(2, dtype=np.float32)[[0, 1] * 4]}
    losses = []
    for _ in range(2):
        losses.append(float(model.train_on_batch(inputs, truth)[0]))
        model.reset_metrics()
    assert losses[1] < losses[0] - 0.01
