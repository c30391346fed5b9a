from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from agegender_train.runs.settings import Settings
from agegender_train.training import train

pytestmark = pytest.mark.usefixtures("tiny_network")
ASKED: dict[str, Any] = {"model": "tiny", "batch_size": 16, "ema": 0.0, "validation_fraction": 0.2}


@pytest.fixture(scope="module")
def first(make_store: Any, tiny_network: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, float]:
    store = make_store(n=96)
    result = train([store], tmp_path_factory.mktemp("runs") / "first", Settings(**ASKED, epochs=8, learning_rate=0.01))
    return store, result.path, result.metrics["middle_mae"]


@pytest.mark.slow
def test_a_training_goes_on_from_a_finished_one(first: tuple[Any, Path, float], tmp_path: Path) -> None:
    store, run, error = first
    start = str(run / "checkpoints/best.keras")
    # With steps of nearly nothing, an epoch leaves the weights where they are, up to batch normalisation's averages.
    asked = Settings(**ASKED, epochs=1, learning_rate=1e-9, weight_decay=0.0, weights=start)
    again = train([store], tmp_path / "again", asked)
    assert again.metrics["middle_mae"] == pytest.approx(error, abs=2.0)
    old, new = (keras.saving.load_model(one / "checkpoints/best.keras", compile=False) for one in (run, again.path))
    for name in ("hidden", "age_part", "p_male"):
        for before, after in zip(old.get_layer(name).get_weights(), new.get_layer(name).get_weights(), strict=True):
            np.testing.assert_allclose(after, before, atol=1e-6)
    from_chance = train([store], tmp_path / "chance", Settings(**ASKED, epochs=1, learning_rate=1e-9))
    assert from_chance.metrics["middle_mae"] > again.metrics["middle_mae"] + 3


@pytest.mark.slow
def test_other_networks_and_other_files_are_refused(first: tuple[Any, Path, float], tmp_path: Path) -> None:
    store, run, _ = first
    start = str(run / "checkpoints/best.keras")
    with pytest.raises(ValueError, match="is of another network: its layer"):
        train([store], tmp_path / "a", Settings(**{**ASKED, "model_options": {"width": 0.5}}, weights=start))
    broken = tmp_path / "broken.keras"
    broken.write_bytes(Path(start).read_bytes()[:1000])
    with pytest.raises(ValueError, match="can't be read as a checkpoint"):
        train([store], tmp_path / "b", Settings(**ASKED, weights=str(broken)))
    with pytest.raises(FileNotFoundError, match="no file with weights at"):
        train([store], tmp_path / "c", Settings(**ASKED, weights=str(tmp_path / "nowhere.keras")))
