"""What `agegender benchmark peers` compares, for developers: equal output is asserted."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_cli.keras_peer import keras_comparisons
from agegender_core.benchmark import Comparison, known_peers

# Without other networks, whose answers differ from ours.
COMPARISONS = [*(one for one in known_peers() if not one.what.startswith("age")), *keras_comparisons()]


@pytest.mark.parametrize("who", ["ours", "theirs"])
@pytest.mark.parametrize("comparison", COMPARISONS, ids=[f"{one.what}, {one.peer}" for one in COMPARISONS])
def bench_peer(benchmark: BenchmarkFixture, comparison: Comparison, who: str) -> None:
    if find_spec(comparison.module) is None:
        pytest.skip(f"{comparison.module} isn't installed")
    sides = comparison.make()
    benchmark.group = f"{comparison.what}, beside {comparison.peer}"
    result = benchmark(getattr(sides, who))
    other = sides.theirs() if who == "ours" else sides.ours()
    assert sides.difference(*((result, other) if who == "ours" else (other, result))) == ""
