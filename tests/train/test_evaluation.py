from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation import evaluate, write_report


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


def test_the_report_holds_each_pair_of_model_and_store(make_store: Any, tmp_path: Path) -> None:
    stores = [make_store("a", 12), make_store("b", 5, exact=True, genders=(None,))]
    evaluations = [evaluate(Brightness(), store) for store in stores]
    out = write_report(evaluations, tmp_path / "new" / "report")
    assert {path.name for path in out.iterdir()} == {"metrics.json", "predictions.parquet"}
    report = json.loads((out / "metrics.json").read_text())
    assert report["machine"]["cpus"] >= 1
    assert [(row["model"], row["test_set"], row["n"], row["pictures"]) for row in report["results"]] == [
        ("brightness", "a", 12, 12),
        ("brightness", "b", 5, 5),
    ]
    assert report["results"][0]["bands"] == evaluations[0].metrics["bands"]
    assert report["results"][1]["fingerprint"] == stores[1].fingerprint
    table = pq.read_table(out / "predictions.parquet")
    assert table.num_rows == 17
    assert table["key"].to_pylist()[12:] == [f"{i}.jpg" for i in range(5)]
    assert table["gender"].to_pylist()[:12] == [0, 1] * 6
    assert table["gender"].null_count == 5
    assert table["age_high"].null_count == 0
    np.testing.assert_array_equal(table["age"].to_numpy(), np.concatenate([part.age for part in evaluations]))


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
