"""SSR-Net's own time: ONNX Runtime on one and two threads beside Keras, with equal output asserted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import load_predictor, preprocess
from agegender_train.export import export_onnx
from agegender_train.models import build_model, get_network


@pytest.fixture(scope="module")
def model() -> Any:
    """SSR-Net as it comes along, with other weights: they do not change how long it takes."""
    return build_model("ssrnet", mix=32)


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    default, network = load_predictor("ssrnet"), get_network("ssrnet")
    heads = {name: dict(head) for name, head in network.heads.items()}
    heads["age"]["std"] = 5.0
    path = tmp_path_factory.mktemp("model") / "ssrnet.onnx"
    export_onnx(model, path, name="ssrnet", spec=default.spec, heads=heads, training={}, metrics=[], licence="")
    return path


@pytest.mark.parametrize("faces", [1, 32])
@pytest.mark.parametrize("who", ["ours, 1 thread", "2 threads", "keras predict", "keras call"])
def bench_predict(benchmark: BenchmarkFixture, model: Any, exported: Path, faces: int, who: str) -> None:
    benchmark.group = f"predict, {faces} faces"
    predictor = load_predictor(exported, threads=2 if who == "2 threads" else 1)
    size = predictor.spec.chip_size
    chips = np.random.default_rng(1).integers(0, 256, (faces, size, size, 3), np.uint8)

    def keras_predict() -> Any:
        return model.predict(preprocess(chips, predictor.spec), verbose=0)["age"]

    def keras_call() -> Any:
        return np.asarray(model(preprocess(chips, predictor.spec), training=False)["age"])

    calls: dict[str, Callable[[], Any]] = {"keras predict": keras_predict, "keras call": keras_call}
    age = benchmark(calls.get(who, lambda: predictor.predict_chips(chips).age))
    np.testing.assert_allclose(np.reshape(age, -1), np.maximum(np.reshape(keras_call(), -1), 0), atol=1e-3)
