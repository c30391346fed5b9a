"""Augmented faces: the C++ beside the OpenCV and NumPy that it replaced, JPEGs, and a consumer that never waits.

Both chains get the same changes. Theirs samples a chip bilinearly at its own size and averages that, ours averages
once: they differ by a little sharpness, which is bounded here. What ours equals is the plain reference in the tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core.augment import Changes, augment
from agegender_core.native import is_simd
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import draw_changes
from agegender_train.batches.augmentation import Augmentation
from agegender_train.batches.batches import Batches
from agegender_train.batches.face_set import FaceSet
from agegender_train.store import Store

FACES = 128
SIZES = (64, 96, 140)
Chip = npt.NDArray[np.uint8]


def spec_of(size: int) -> PreprocessSpec:
    return PreprocessSpec(size, chip_size=140, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)


def with_opencv(
    chips: Sequence[Chip], changes: Changes, spec: PreprocessSpec, others: Sequence[Chip | None]
) -> npt.NDArray[np.float32]:
    """A face at a time, each step over the whole chip."""
    size = len(chips[0])
    made = np.empty((len(chips), size, size, 3), np.uint8)
    for chip, change, other, to in zip(chips, changes, others, made, strict=True):
        warp = change["warp"] * np.float32([1, 1, size])
        warp[:, 2] += warp[:, :2].sum(axis=1) / 2 - 0.5  # OpenCV counts from the middles of pixels
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(chip, warp, (size, size), dst=to, flags=flags, borderMode=cv2.BORDER_REFLECT)
        cv2.transform(to, change["colours"], dst=to)
        if change["detail"] < 1:
            small = cv2.resize(to, (round(size * float(change["detail"])),) * 2, interpolation=cv2.INTER_AREA)
            cv2.resize(small, (size, size), dst=to, interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = (size * change["covered"]).astype(int)
        to[top:bottom, left:right] = change["cover"]
        left, top, right, bottom = (size * change["kept"]).astype(int)
        inner = to[top:bottom, left:right].copy()
        if other is not None:
            middle = np.ascontiguousarray(other[size // 4 : size - size // 4, size // 4 : size - size // 4])
            cv2.resize(middle, (size, size), dst=to, interpolation=cv2.INTER_LINEAR)
        elif inner.shape != to.shape:
            to[:] = change["surroundings"]
        to[top:bottom, left:right] = inner
    side = (spec.input_size, spec.input_size)
    mean, scale = np.float32(spec.mean), np.float32(spec.scale)
    inputs = np.empty((len(chips), *side, 3), np.float32)
    for chip, to in zip(made, inputs, strict=True):
        np.subtract(cv2.resize(chip, side, interpolation=cv2.INTER_AREA), mean, out=to)
        np.multiply(to, scale, out=to)
    return inputs


@pytest.fixture(scope="module", autouse=True)
def opencv_on_one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="module")
def store(make_store: Callable[[int], Store]) -> Store:
    return make_store(FACES)


@pytest.fixture(scope="module")
def asked(store: Store) -> tuple[list[Chip], Changes, list[Chip | None]]:
    """Chips, what is changed in them, and the chips around them."""
    chips, rows = list(store.decode(np.arange(FACES))), np.arange(FACES)
    changes, others = draw_changes(Augmentation(), (0, 0), rows, rows)
    return chips, changes, [None if other < 0 else chips[other] for other in others]


def seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


@pytest.mark.benchmark(timer=time.thread_time)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["ours", "opencv+numpy"])
def bench_one_thread(benchmark: BenchmarkFixture, asked: Any, size: int, who: str) -> None:
    """Of the time of the thread, with the drawing of the changes, which both have alike."""
    benchmark.group = f"augment 128 chips for {size} px, one thread"
    chips, _, others = asked
    spec, rows = spec_of(size), np.arange(FACES)

    def run(change: Callable[..., npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        changes, _ = draw_changes(Augmentation(), (0, 0), rows, rows)
        return change(chips, changes, spec, others)

    off = np.abs(run(augment) - run(with_opencv)) * 127.5
    assert off.mean() < 2.5
    assert np.quantile(off, 0.9) < 6
    benchmark(run, augment if who == "ours" else with_opencv)
    # By turns, so that other work on the machine slows both.
    ways = augment, with_opencv
    times = [[seconds(lambda way=way: run(way), time.thread_time) for way in ways] for _ in range(5)]
    ours, theirs = np.min(times, axis=0)
    assert theirs > (2.5 if is_simd() else 1.2) * ours


@pytest.mark.parametrize("who", ["ours, one thread", "ours, two threads"])
def bench_threads(benchmark: BenchmarkFixture, asked: Any, who: str) -> None:
    """As many faces, the same bits, and no more work than two calls on one thread each that share the faces.

    Both keep two cores busy: where these are two threads of one physical core, each is slower than alone.
    """
    benchmark.group = "augment 128 chips for 96 px, on threads"
    chips, changes, others = asked
    out = np.empty((FACES, 96, 96, 3), np.float32)

    def run(threads: int) -> npt.NDArray[np.float32]:
        return augment(chips, changes, spec_of(96), others, threads=threads, out=out)

    np.testing.assert_array_equal(run(1).copy(), run(2))
    benchmark(run, 1 if "one" in who else 2)
    halves = slice(FACES // 2), slice(FACES // 2, FACES)

    def run_half(part: slice) -> None:
        augment(chips[part], changes[part], spec_of(96), others[part], threads=1, out=out[part])

    with ThreadPoolExecutor(2) as pool:
        ways = lambda: list(pool.map(run_half, halves)), lambda: run(2)
        # Of each turn by itself: from one to the next the clock, or what else runs, may change.
        work = np.array([[seconds(way, time.process_time) for way in ways] for _ in range(11)])
    assert np.median(work[:, 1] / work[:, 0]) < 1.5


def bench_decode(benchmark: BenchmarkFixture, store: Store, asked: Any) -> None:
    """JPEG at quality 95, as a store has them: what a face costs that isn't in the cache."""
    benchmark.group = "decode 128 chips of a store"
    rows = np.arange(FACES)
    np.testing.assert_array_equal(benchmark(store.decode, rows), np.stack(asked[0]))


def bench_consumer(benchmark: BenchmarkFixture, store: Store, asked: Any) -> None:
    """Somebody takes a batch every 25 ms, as a GPU does; what is measured is how long that waits.

    A batch is what two threads make in a third of that time here, and in a sixth where only the assertions count: then
    the machine has other things to do.
    """
    chips, changes, others = asked
    one = min(seconds(lambda: augment(chips, changes, spec_of(96), others), time.thread_time) for _ in range(5)) / FACES
    rows = np.tile(np.arange(FACES), 8)
    size = min(int(2 * 0.025 / (6 if benchmark.disabled else 3) / one), len(rows))
    benchmark.group = f"a consumer takes {size} augmented faces at 96 px every 25 ms: so long it waits for them"
    batches = Batches(FaceSet([store]), rows, spec_of(96), size, seed=0, augmentation=Augmentation())
    waits: list[float] = []
    with batches.stream(workers=2, ahead=8) as stream:
        next(stream)  # which fills the cache

        def take() -> None:
            waits.append(seconds(lambda: next(stream), time.perf_counter))

        benchmark.pedantic(take, setup=lambda: time.sleep(0.025), rounds=100)
        while len(waits) < 40:
            time.sleep(0.025)
            take()
    assert np.median(waits) < 0.005
    assert np.mean(waits) < 0.0125
