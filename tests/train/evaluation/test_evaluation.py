from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation import evaluate, realigned


class Brightness:
    """Tells the age by the green channel and the gender by red against blue, as the made chips have them."""

    name = "brightness"
    spec = PreprocessSpec(64, chip_size=72)

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        self.calls.append(len(chips))
        red, green, blue = (chips[..., channel].mean(axis=(1, 2)) for channel in range(3))
        age = ((green - 40) / 1.5).astype(np.float32)
        return Prediction(age, np.full_like(age, 2.0), (red > blue).astype(np.float32))


def test_a_model_that_sees_the_truth_gets_full_marks(make_store: Any) -> None:
    store, model, heard = make_store(n=50, exact=True, genders=(0, 1, None)), Brightness(), []
    evaluation = evaluate(model, store, batch_size=16, progress=lambda *now: heard.append(now))
    assert model.calls == [16, 16, 16, 2]
    assert heard == [(16, 50), (32, 50), (48, 50), (50, 50)]
    figures = evaluation.metrics
    assert figures["age_mae"] < 1
    assert figures["cs5"] == 1
    assert figures["gender_accuracy"] == 1
    assert (figures["n"], figures["n_gender"]) == (50, 34)
    assert np.abs(evaluation.age - evaluation.labels.age).max() < 2


def test_batches_change_nothing(make_store: Any) -> None:
    store = make_store(n=30)
    one, many = (evaluate(Brightness(), store, batch_size=size) for size in (30, 7))
    np.testing.assert_array_equal(one.age, many.age)
    assert one.metrics["interval_mae"] == pytest.approx(many.metrics["interval_mae"], rel=1e-12)
    assert one.metrics["group_accuracy"] == many.metrics["group_accuracy"] > 0.8


def test_a_store_that_was_cut_otherwise_is_refused(make_store: Any) -> None:
    message = r"a holds chips of 72 px with padding 0.25, but brightness was trained on chips of 72 px with padding 0.4"
    with pytest.raises(ValueError, match=message):
        evaluate(Brightness(), make_store("a", 3, padding=0.25))
    with pytest.raises(ValueError, match="b holds chips of 64 px"):
        evaluate(Brightness(), make_store("b", 3, size=64))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        evaluate(Brightness(), make_store("c", 3), batch_size=0)


def test_evaluation_loads_no_framework() -> None:
    code = "import sys, agegender_train.evaluation; print({'keras', 'tensorflow', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


class Picky(Brightness):
    """Fails on some faces, as a third-party network may."""

    name = "picky"

    def __init__(self, bad: np.ndarray, how: str) -> None:
        super().__init__()
        self.bad, self.how = bad, how

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        prediction = super().predict_chips(chips)
        hit = (chips.reshape(len(chips), -1) == self.bad.ravel()).all(axis=1)
        if hit.any() and self.how == "raise":
            raise RuntimeError("Non-zero status code returned")
        age = np.where(hit, np.float32(np.nan), prediction.age)
        return Prediction(age, prediction.age_std, prediction.p_male)


@pytest.mark.parametrize(
    ("how", "reason"),
    [("raise", "RuntimeError: Non-zero status code returned"), ("nan", "the model's answer is not finite")],
)
def test_a_face_that_a_model_fails_on_is_left_out_and_told(make_store: Any, how: str, reason: str) -> None:
    store = make_store(n=30, exact=True)
    whole = evaluate(Brightness(), store, rounds=0)
    evaluation = evaluate(Picky(store.decode([17])[0], how), store, batch_size=8, rounds=0)
    assert evaluation.failures == (("17.jpg", 0, reason),)
    assert len(evaluation.outcomes) == 29
    kept = [row for row in range(30) if row != 17]
    assert sorted(evaluation.rows) == kept
    back = np.argsort(evaluation.rows)
    np.testing.assert_array_equal(evaluation.age[back], whole.age[kept])
    np.testing.assert_array_equal(evaluation.labels.key[back], whole.labels.key[kept])


def test_a_model_that_fails_on_all_faces_is_an_error(make_store: Any) -> None:
    class Broken(Brightness):
        def predict_chips(self, chips: np.ndarray) -> Prediction:
            raise ZeroDivisionError("no")

    with pytest.raises(ValueError, match="fails on each of the 3 faces of a: ZeroDivisionError: no"):
        evaluate(Broken(), make_store("a", 3))


def test_stores_without_genders_with_groups_or_with_one_face(make_store: Any) -> None:
    alone = evaluate(Brightness(), make_store("one", 1, exact=True), rounds=20).metrics
    assert (alone["n"], alone["age_mae"] < 10, alone["gender_auc"]) == (1, True, None)
    no_gender = evaluate(Brightness(), make_store("none", 12, genders=(None,)), rounds=20).metrics
    assert no_gender["gender_accuracy"] is None
    assert "gender" not in no_gender["parts"]
    groups = evaluate(Brightness(), make_store("groups", 60), rounds=20).metrics
    assert groups["age_mae"] is None
    assert groups["group_exact"] > 0.8
    assert groups["group_exact"] <= groups["group_one_off"] <= 1
    assert groups["intervals"]["group_exact"][0] <= groups["group_exact"]


def test_another_cut_is_taken_only_when_asked_for(make_store: Any) -> None:
    store = make_store("big", 24, size=128, padding=0.6, exact=True)
    with pytest.raises(ValueError, match="holds chips of 128 px with padding"):
        evaluate(Brightness(), store)
    evaluation = evaluate(Brightness(), store, realign=True, rounds=0)
    assert evaluation.realigned
    assert evaluation.metrics["age_mae"] < 1
    assert not evaluate(Brightness(), make_store(n=4), realign=True, rounds=0).realigned


def test_chips_that_are_cut_again_keep_the_face_in_its_place() -> None:
    """A disc in the middle of the face keeps its place and its size in parts of the face's side."""

    def disc(size: int, padding: float) -> np.ndarray:
        side = size / (1 + 2 * padding)
        y, x = np.mgrid[:size, :size] + 0.5 - size / 2
        inside = np.hypot(x - 0.2 * side, y + 0.1 * side) < 0.25 * side
        return np.repeat((200 * inside).astype(np.uint8)[None, :, :, None], 3, axis=3)

    for size, padding in ((112, 0.2), (140, 0.4), (96, 0.4), (200, 0.6)):
        made = realigned(disc(140, 0.4), 0.4, size, padding).astype(float)
        assert made.shape == (1, size, size, 3)
        off = np.abs(made - disc(size, padding)) > 100
        assert off.mean() < 0.01, (size, padding)
    # What lies beyond the chip is black.
    assert realigned(np.full((1, 140, 140, 3), 200, np.uint8), 0.4, 140, 0.8)[0, 0, 0].tolist() == [0, 0, 0]
