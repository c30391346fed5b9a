from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from agegender_core.predict import load_predictor
from agegender_train.batches.augmentation import Augmentation
from agegender_train.evaluation import evaluate
from agegender_train.losses import GenderLoss, IntervalAgeLoss
from agegender_train.models import build_model
from agegender_train.runs.settings import Settings
from agegender_train.splits import SplitSettings, make_split, read_split, write_split
from agegender_train.store import Store
from agegender_train.store.face_table import FaceTable
from agegender_train.training import RunResult, train
from agegender_train.training.epochs import DivergedError, TrainingProgress
from agegender_train.training.phases import WarmUpCosine
from agegender_train.training.state import untrained_before
from agegender_train.training.validation import exported_weights

pytestmark = pytest.mark.usefixtures("tiny_network")

SMALL = Settings(
    model="tiny",
    epochs=2,
    batch_size=16,
    learning_rate=0.01,
    validation_fraction=0.25,
    ema=0.5,
    seed=4,
)


def figures_in(model: Path) -> dict[str, Any]:
    texts = {item.key: item.value for item in onnx.load(model).metadata_props}
    (figures,) = json.loads(texts["agegender.metrics"])
    return dict(figures)


@pytest.fixture(scope="module")
def trained(
    make_store: Any, tiny_network: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, RunResult, list[TrainingProgress]]:
    store, heard = make_store(n=128), list[TrainingProgress]()
    return store, train([store], tmp_path_factory.mktemp("trained") / "run", SMALL, heard.append), heard


def test_two_epochs_lower_the_loss_and_leave_a_whole_run(trained: Any) -> None:
    store, result, heard = trained
    losses = [row["loss"] for row in result.history]
    assert losses[1] < losses[0]
    assert result.history[1]["val_loss"] < result.history[0]["val_loss"]
    names = {"config.json", "history.csv", "history.png", "checkpoints", "model.onnx", ".lock"}
    assert {path.name for path in result.path.iterdir()} == names
    assert {path.name for path in (result.path / "checkpoints").iterdir()} == {"best.keras", "last.keras"}

    config = json.loads((result.path / "config.json").read_text())
    assert config["settings"]["learning_rate"] == 0.01
    assert config["data"] == [{"name": "made", "faces": 128, "fingerprint": store.fingerprint}]
    assert config["faces"]["training"] + config["faces"]["validation"] == 128
    assert config["versions"]["keras"] == keras.__version__
    with (result.path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == losses
    assert float(rows[1]["val_interval_mae"]) == result.history[1]["val_interval_mae"]

    steps = config["faces"]["training"] // 16
    assert [(now.epoch, now.step) for now in heard if now.row is None] == [
        (epoch, step) for epoch in (1, 2) for step in range(1, steps + 1)
    ]
    assert [now.row for now in heard if now.row is not None] == result.history

    evaluation = evaluate(load_predictor(result.model), store)
    assert evaluation.metrics["n"] == 128
    assert float(evaluation.outcomes.prediction.age_std[0]) == pytest.approx(result.metrics["age_std"], abs=0.01)
    with pytest.raises(FileExistsError, match="already holds a run"):
        train([store], result.path, SMALL)


def test_the_exported_weights_are_those_of_the_best_epoch(trained: Any) -> None:
    store, result, _ = trained
    losses = [row["val_loss"] for row in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    best = keras.saving.load_model(result.path / "checkpoints/best.keras", compile=False)
    predictor = load_predictor(result.model)
    from agegender_core.preprocess import preprocess

    chips = store.decode(np.arange(8))
    expected = best.predict_on_batch(preprocess(chips, predictor.spec))["age"][:, 0]
    np.testing.assert_allclose(predictor.predict_chips(chips).age, np.maximum(expected, 0), atol=1e-3)


@pytest.mark.slow
def test_equal_seeds_train_alike(trained: Any, tmp_path: Path) -> None:
    store, first, _ = trained
    again = train([store], tmp_path / "run", SMALL)
    for one, other in zip(first.history, again.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    assert (first.path / "config.json").read_text() == (again.path / "config.json").read_text()


@pytest.mark.slow
def test_it_trains_without_validation_ages_or_genders(make_store: Any, tmp_path: Path) -> None:
    store = make_store(n=40, exact=True, genders=(None,))
    plain = replace(
        SMALL, validation_fraction=0.0, ema=0.0, schedule="step", augmentation=Augmentation.none(), device="cpu"
    )
    result = train([store], tmp_path / "run", plain)
    assert result.best_epoch == 2
    assert result.history[0]["p_male_loss"] == 0
    assert "val_loss" not in result.history[0]
    assert result.metrics["gender_accuracy"] is None
    assert result.metrics["n"] == 40
    assert result.untrained == ("gender",)
    predictor = load_predictor(result.model)
    assert predictor.untrained == ("gender",)
    prediction = predictor.predict_chips(store.decode(np.arange(3)))
    assert prediction.p_male is None
    assert (prediction.age_std > 0).all()
    assert result.test_set == "training faces, none held out (all 40)"
    assert figures_in(result.model)["test_set"] == result.test_set


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_store", "changes", "untrained"),
    [
        ({"aged": False}, {}, ("age",)),
        ({}, {"age_weight": 0.0}, ("age",)),
        ({}, {"gender_weight": 0.0}, ("gender",)),
        ({"genders": (1,)}, {}, ("gender",)),
    ],
)
def test_a_head_that_learns_nothing_is_marked(
    of_store: dict[str, Any], changes: dict[str, Any], untrained: tuple[str, ...], make_store: Any, tmp_path: Path
) -> None:
    result = train([make_store(n=48, **of_store)], tmp_path / "run", replace(SMALL, epochs=1, **changes))
    assert load_predictor(result.model).untrained == result.untrained == untrained
    name = {"age": "middle_mae", "gender": "gender_accuracy"}[untrained[0]]
    assert result.metrics[name] is None
    assert result.history[0][f"val_{name}"] is None
    # An export before the end, and another training that starts here, know it from the run.
    config = json.loads((result.path / "config.json").read_text())
    assert config["untrained"] == list(untrained)
    assert untrained_before(result.path / "checkpoints" / "best.keras") == untrained


@pytest.mark.slow
def test_a_head_that_learned_earlier_stays_trained(trained: Any, make_store: Any, tmp_path: Path) -> None:
    _, before, _ = trained
    settings = replace(SMALL, epochs=1, weights=str(before.path / "checkpoints" / "best.keras"))
    again = train([make_store(n=48, genders=(None,))], tmp_path / "run", settings)
    assert again.untrained == ()


@pytest.mark.slow
def test_a_training_that_diverges_says_so(make_store: Any, tmp_path: Path) -> None:
    asked = replace(SMALL, learning_rate=1e38)
    with pytest.raises(DivergedError, match=r"has diverged in epoch 1: .* with a learning rate of up to 1e") as caught:
        train([make_store(n=64)], tmp_path / "run", asked)
    assert "--learning-rate 0.004" in caught.value.__notes__[0]
    # Neither are the weights measured on training faces where none are held out.
    with pytest.raises(DivergedError):
        train([make_store(n=64)], tmp_path / "none-held", replace(asked, validation_fraction=0.0))


def test_labels_of_nothing_are_refused(make_store: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is nothing to learn from in these 41 faces"):
        train([make_store(n=48, aged=False, genders=(1,))], tmp_path / "run", replace(SMALL, validation_fraction=0.2))


@pytest.mark.slow
def test_the_error_of_ages_is_measured_where_there_are_ages(
    make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_age(identities: list[str], fraction: float, seed: int) -> np.ndarray:
        return np.array([who.startswith("without/") for who in identities])

    monkeypatch.setattr("agegender_train.runs.faces.hold_out", without_age)
    stores = [make_store("with", n=48), make_store("without", n=48, aged=False)]
    result = train(stores, tmp_path / "run", replace(SMALL, epochs=1))
    assert result.metrics["age_std"] is None
    prediction = load_predictor(result.model).predict_chips(stores[0].decode(np.arange(2)))
    assert (prediction.age_std > 1).all()


@pytest.mark.slow
def test_figures_of_training_faces_are_called_that(trained: Any, make_store: Any, tmp_path: Path) -> None:
    _, validated, _ = trained
    assert figures_in(validated.model)["test_set"] == validated.test_set == "validation part of the training data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agegender_train.training.loop._TRAINING_SAMPLE", 24)
        result = train([make_store(n=40)], tmp_path / "run", replace(SMALL, epochs=1, validation_fraction=0.0))
    assert result.test_set == "training faces, none held out (the first 24 of 40)"
    assert result.metrics["n"] == figures_in(result.model)["n"] == 24


def test_masked_labels_move_no_weight() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("ssrnet", width=0.25)
    model.compile(keras.optimizers.SGD(0.01), {"age": IntervalAgeLoss(), "p_male": GenderLoss()}, run_eagerly=True)
    before = {weight.path: np.array(np.asarray(weight)) for weight in model.trainable_weights}
    batch = np.random.default_rng(0).uniform(-1, 1, (6, 64, 64, 3)).astype(np.float32)
    targets = {"age": np.float32([[80, 90]] * 6), "p_male": np.ones((6, 1), np.float32)}
    weights = {"age": np.zeros(6, np.float32), "p_male": np.float32([0, 0, 0, 1, 0, 0])}
    model.train_on_batch(batch, targets, weights)
    moved = {weight.path: bool((np.asarray(weight) != before[weight.path]).any()) for weight in model.trainable_weights}
    assert not any(value for path, value in moved.items() if path.startswith("age_"))
    assert any(value for path, value in moved.items() if path.startswith("p_male_"))


def test_the_averages_of_weights_are_exported() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    model.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.9), "mse", run_eagerly=True)
    steps = []
    for _ in range(3):
        model.train_on_batch(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32))
        steps.append(np.array(np.asarray(model.trainable_variables[0])))
    average = steps[0]
    for step in steps[1:]:
        average = 0.9 * average + 0.1 * step
    exported = exported_weights(model)
    np.testing.assert_allclose(exported[0], average, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(exported[-1], np.asarray(model.layers[-1].moving_variance))
    np.testing.assert_array_equal(np.asarray(model.trainable_variables[0]), steps[-1])


def test_the_rate_warms_up_and_falls_to_a_hundredth() -> None:
    schedule = WarmUpCosine(0.1, warm=10, total=110)
    rates = [float(schedule(step)) for step in range(111)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(max(rates)) == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.0505)
    assert rates[110] == pytest.approx(0.001)
    assert (np.diff(rates[10:]) < 0).all()
    again = WarmUpCosine.from_config(schedule.get_config())
    assert float(again(42)) == rates[42]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
        ({"age_weight": -1.0}, "age_weight must not be negative"),
        ({"schedule": "fast"}, "schedule must be cosine, step or constant, got 'fast'"),
    ],
)
def test_settings_refuse_nonsense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "gpu:7"}, "device 'gpu:7' is not there"),
        ({"device": "tpu"}, 'device must be "auto", "cpu" or "gpu:N"'),
        ({"margin": 0.5}, "margin must lie between 0 and chip_padding"),
        ({"model": "vgg"}, "model must be one of"),
        ({"batch_size": 500}, "batch_size must be in"),
    ],
)
def test_what_does_not_fit_leaves_no_folder(
    make_store: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train([make_store(n=20)], tmp_path / "run", Settings(**{"batch_size": 4, **changes}))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_fold_of_a_split_is_what_it_validates_on(make_store: Any, tmp_path: Path) -> None:
    store = make_store(n=60, subjects=30)
    write_split(make_split(FaceTable.read([store]), [], SplitSettings(folds=3)), "folds-3")
    asked = replace(SMALL, epochs=1, split="folds-3", fold=1)
    result = train([store], tmp_path / "run", asked)
    held = int((read_split(store, "folds-3") == 1).sum())
    config = json.loads((result.path / "config.json").read_text())
    assert config["faces"] == {"training": 60 - held, "validation": held}
    assert (config["settings"]["split"], config["settings"]["fold"]) == ("folds-3", 1)
    assert result.metrics["n"] == held
    with pytest.raises(ValueError, match="give split, too"):
        Settings(fold=1)


JAX = """
import sys
sys.modules["tensorflow"] = None  # as on a machine without it
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.training import train
settings = Settings(model_options={"width": 0.25}, epochs=2, batch_size=16, learning_rate=0.01, ema=0.5)
result = train([Store.open(sys.argv[1])], sys.argv[2], settings)
assert result.history[1]["loss"] < result.history[0]["loss"], result.history
"""


@pytest.mark.slow
def test_it_trains_and_exports_on_jax_without_tensorflow(make_store: Any, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    store = make_store(n=64)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX, str(store.path), str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "run/config.json").read_text())["backend"] == "jax"
    figures = evaluate(load_predictor(tmp_path / "run/model.onnx"), store).metrics
    assert figures["interval_mae"] < 60
