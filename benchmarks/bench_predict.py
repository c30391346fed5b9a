"""SSR-Net's own time on one and two threads, with equal output asserted; bench_peers.py has Keras beside it."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import load_predictor


@pytest.mark.parametrize("faces", [1, 32])
@pytest.mark.parametrize("who", ["ours, 1 thread", "2 threads"])
def bench_predict(benchmark: BenchmarkFixture, faces: int, who: str) -> None:
    benchmark.group = f"predict, {faces} faces"
    one, two = (load_predictor("tiny", threads=threads, flip=False) for threads in (1, 2))
    size = one.spec.chip_size
    chips = np.random.default_rng(1).integers(0, 256, (faces, size, size, 3), np.uint8)
    age = benchmark(lambda: (two if who == "2 threads" else one).predict_chips(chips).age)
    np.testing.assert_allclose(age, one.predict_chips(chips).age, atol=1e-3)
