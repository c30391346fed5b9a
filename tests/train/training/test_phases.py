from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from agegender_train.models import get_network
from agegender_train.runs.settings import Settings
from agegender_train.training.devices import precision
from agegender_train.training.objective import Objective
from agegender_train.training.phases import Phase, compile_for, learning_rate
from agegender_train.training.validation import exported_weights

LAST = Phase(1, 5, frozenset(), False)


def small_model(settings: Settings, policy: str = "float32") -> Any:
    """Two linear heads, compiled as a training's last phase of 4 epochs of 6 batches."""
    keras.utils.set_random_seed(1)
    with precision(policy):
        image = keras.Input((3,))
        heads = {name: keras.layers.Dense(1, dtype="float32", name=name) for name in ("age", "p_male")}
        hidden = keras.layers.Dense(4, name="hidden")(image)
        model = keras.Model(image, {name: layer(hidden) for name, layer in heads.items()})
    compile_for(LAST, model, Objective(get_network("ssrnet"), settings), settings, 6)
    return model


def batch(number: int, faces: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(number)
    x = rng.uniform(-1, 1, (faces, 3)).astype(np.float32)
    age, male = np.tile(np.float32([20, 29]), (faces, 1)), np.ones((faces, 1), np.float32)
    ones = np.ones(faces, np.float32)
    return x, {"age": age, "p_male": male}, {"age": ones, "p_male": ones}


@pytest.mark.slow
def test_accumulated_batches_are_one_step_of_the_batch_that_they_make() -> None:
    plain = Settings(schedule="constant", ema=0.6)
    whole_steps, accumulated = small_model(plain), small_model(Settings(schedule="constant", ema=0.6, accumulate=3))
    for step in range(4):
        parts = [batch(3 * step + i, 4) for i in range(3)]
        whole = (
            np.concatenate([part[0] for part in parts]),
            *({name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]} for k in (1, 2)),
        )
        before = [np.array(weight) for weight in accumulated.get_weights()]
        for number, part in enumerate(parts):
            now = accumulated.get_weights()
            assert all((a == b).all() for a, b in zip(before, now, strict=True)), f"moved by batch {number} of three"
            accumulated.train_on_batch(*part)
        whole_steps.train_on_batch(*whole)
        for one, other in zip(whole_steps.get_weights(), accumulated.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert int(accumulated.optimizer.iterations) == int(whole_steps.optimizer.iterations) == 4
    # The average follows a step over as many batches as make one: two more, and it is where that of plain steps is.
    for number in (100, 101):
        accumulated.train_on_batch(*batch(number, 4))
    for one, other in zip(exported_weights(whole_steps), exported_weights(accumulated), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_rate_counts_steps_of_the_optimizer() -> None:
    plain, half = (learning_rate(Settings(accumulate=k), LAST, 6) for k in (1, 2))
    assert (plain.total, half.total) == (24, 12)
    assert float(plain(20)) == pytest.approx(float(half(10)), rel=0.1)
    falls = learning_rate(Settings(schedule="step", step_epochs=(2, 4), accumulate=2, learning_rate=1.0), LAST, 6)
    assert [round(float(falls(step)), 3) for step in (0, 3, 4, 9, 10, 11)] == [1, 1, 0.1, 0.1, 0.01, 0.01]
    assert learning_rate(Settings(schedule="constant"), LAST, 6) == Settings().learning_rate


def test_averages_stay_beside_the_weights_when_fit_ends() -> None:
    model = small_model(Settings(ema=0.9, learning_rate=0.1))
    model.fit((batch(i, 4) for i in range(9)), steps_per_epoch=5, epochs=1, shuffle=False, verbose=0)
    own, averaged = exported_weights(model, averaged=False), exported_weights(model)
    assert all((a == b).all() for a, b in zip(own, model.get_weights(), strict=True))
    assert any((a != b).any() for a, b in zip(own, averaged, strict=True))


def test_losses_are_scaled_for_16_bit_floats_and_averages_found_all_the_same() -> None:
    model = small_model(Settings(ema=0.9, accumulate=2, learning_rate=0.1), "mixed_float16")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.get_layer("hidden").compute_dtype == "float16"
    start = exported_weights(model, averaged=False)
    for number in range(4):
        assert np.isfinite(model.train_on_batch(*batch(number, 4))).all()
    own, averaged = exported_weights(model, averaged=False), exported_weights(model)
    assert {weight.dtype for weight in averaged} == {np.dtype(np.float32)}
    assert any((a != b).any() for a, b in zip(start, own, strict=True))
    assert any((a != b).any() for a, b in zip(own, averaged, strict=True))
