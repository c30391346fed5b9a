"""An evaluation, beside what the network alone takes for the same faces."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import load_predictor
from agegender_train.evaluation import evaluate
from agegender_train.store import Store

FACES, BATCH = 600, 200


@pytest.fixture(scope="module")
def store(make_store: Callable[[int], Store]) -> Store:
    """So many pieces of the portrait as faces."""
    return make_store(FACES)


@pytest.mark.parametrize("who", ["ours", "the network alone"])
def bench_evaluation(benchmark: BenchmarkFixture, store: Store, who: str) -> None:
    """Decoding, prediction, figures, intervals of all parts: less than twice the network's own time, equal ages."""
    benchmark.group = f"the default model on {FACES} faces"
    predictor = load_predictor()
    chips = store.decode(np.arange(FACES))

    def alone() -> np.ndarray:
        starts = range(0, FACES, BATCH)
        return np.concatenate([predictor.predict_chips(chips[start : start + BATCH]).age for start in starts])

    def whole() -> np.ndarray:
        evaluation = evaluate(predictor, store, BATCH)
        assert evaluation.metrics["intervals"]["age_mae"]
        return evaluation.age

    if who == "the network alone":
        benchmark.pedantic(alone, rounds=3, warmup_rounds=1)
        return
    ages = benchmark.pedantic(whole, rounds=3, warmup_rounds=1)
    np.testing.assert_allclose(ages, alone(), atol=1e-4)
    # One after the other, so that what else the machine does slows both; the best of three is the least disturbed.
    ratios: list[float] = []
    while len(ratios) < 3 and min(ratios, default=2.0) >= 2:
        times = []
        for call in (whole, alone):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    assert min(ratios) < 2, ratios
