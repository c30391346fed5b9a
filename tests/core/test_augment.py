from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import PreprocessSpec, _core, preprocess
from agegender_core.augment import CHANGE, augment, no_changes
from agegender_core.native import native

reference = runpy.run_path(str(Path(__file__).with_name("reference_augment.py")))["reference"]

BUILDS = {"native": native(), "baseline": _core}
SPEC = PreprocessSpec(24, 40, margin=0.3, mean=(127.5, 110.0, 90.0), scale=(1 / 127.5, 1 / 60, -0.5))


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both builds of the C++, also where the CPU would take the faster one."""
    monkeypatch.setattr("agegender_core.augment.native", lambda: BUILDS[request.param])


def grey_levels(difference: Any, spec: PreprocessSpec) -> np.ndarray:
    """A difference of a network's inputs, in grey levels."""
    channels = difference if spec.layout == "nhwc" else difference.transpose(0, 2, 3, 1)
    return np.abs(channels / np.array(spec.scale))


def pictures(seed: int, count: int, size: int) -> np.ndarray:
    """Noise: nothing is harder to resample alike."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


specs = st.builds(
    PreprocessSpec,
    input_size=st.integers(1, 48),
    chip_size=st.integers(1, 50),
    margin=st.floats(0, 0.4),
    color=st.sampled_from(["rgb", "bgr"]),
    layout=st.sampled_from(["nhwc", "nchw"]),
    mean=st.just((127.5, 110.0, 90.0)),
    scale=st.just((1 / 127.5, 1 / 60, -0.5)),
)


@settings(max_examples=40, deadline=None)
@given(spec=specs, seed=st.integers(0, 99))
def test_without_changes_a_face_is_as_in_use(spec: PreprocessSpec, seed: int) -> None:
    chips = pictures(seed, 2, spec.chip_size)
    for build in BUILDS.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agegender_core.augment.native", lambda build=build: build)
            made = augment(chips, no_changes(2), spec)
        assert grey_levels(made - preprocess(chips, spec), spec).max() < 0.1


@st.composite
def changes(draw: st.DrawFn) -> np.ndarray:
    """Far beyond what a training draws."""
    some = np.random.default_rng(draw(st.integers(0, 2**32)))
    one = no_changes(1)
    if draw(st.booleans()):
        turn, zoom = some.uniform(0, 2 * np.pi), some.uniform(0.5, 2)
        mirror = draw(st.sampled_from([-1, 1]))
        linear = zoom * np.array([[mirror * np.cos(turn), -mirror * np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        one["warp"][0] = np.column_stack([linear, [0.5, 0.5] - linear @ some.uniform(0, 1, 2)])
    if draw(st.booleans()):
        one["colours"][0] = np.column_stack([np.eye(3) + some.uniform(-0.5, 0.5, (3, 3)), some.uniform(-80, 80, 3)])
    if draw(st.booleans()):
        one["detail"] = some.uniform(0.05, 1)
    if draw(st.booleans()):
        one["covered"][0] = np.sort(some.uniform(-0.2, 1.2, (2, 2)), axis=0).ravel()
        one["cover"] = some.uniform(-20, 275, 3)
    if draw(st.booleans()):
        one["kept"][0] = *some.uniform(0, 0.4, 2), *some.uniform(0.6, 1, 2)
        one["surroundings"] = some.uniform(0, 255, 3)
    return one


@settings(max_examples=100, deadline=None)
@given(spec=specs, change=changes(), seed=st.integers(0, 99), beside=st.booleans())
def test_equals_the_plain_reference(spec: PreprocessSpec, change: np.ndarray, seed: int, beside: bool) -> None:
    chip, other = pictures(seed, 2, spec.chip_size)
    others = [other if beside else None]
    expected = reference(chip[None], change, spec, others)
    for build in BUILDS.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agegender_core.augment.native", lambda build=build: build)
            made = augment([chip], change, spec, others)
        off = grey_levels(made - expected, spec)
        assert np.quantile(off, 0.99) <= 0.25
        assert off.max() <= 1


@pytest.mark.usefixtures("build")
def test_any_number_of_threads_gives_the_same_bits_and_another_thread_is_not_disturbed() -> None:
    chips = pictures(0, 30, 40)
    many = no_changes(30)
    many["warp"][:, :, 2] = np.random.default_rng(0).uniform(-0.1, 0.1, (30, 2))
    many["detail"][::3] = 0.3
    many["kept"][::2] = 0.1, 0.2, 0.9, 0.8
    others = [None if i % 4 else chips[-i] for i in range(30)]
    one = augment(chips, many, SPEC, others)
    for threads in (2, 3, 50):
        np.testing.assert_array_equal(augment(chips, many, SPEC, others, threads=threads), one)
    # Nor does a face depend on what is made with it.
    np.testing.assert_array_equal(augment(chips[7:9], many[7:9], SPEC, others[7:9]), one[7:9])


def test_a_face_shifted_by_half_a_pixel_is_as_sharp() -> None:
    chips = pictures(1, 1, 140)
    spec = PreprocessSpec(70, 140)
    half = no_changes(1)
    half["warp"][0, :, 2] = 1 / 140  # a pixel of the chip: half of one of the input
    spread = [augment(chips, change, spec)[:, 5:-5, 5:-5].std() for change in (no_changes(1), half)]
    assert spread[1] == pytest.approx(spread[0], rel=0.02)


def test_beyond_its_edges_a_chip_is_mirrored() -> None:
    chips = pictures(2, 1, 20)
    spec = PreprocessSpec(20, 20)
    shifted = no_changes(1)
    shifted["warp"][0, 0, 2] = -0.25
    made = augment(chips, shifted, spec)[0]
    np.testing.assert_allclose(made[:, 5:], chips[0, :, :15], atol=0.05)
    np.testing.assert_allclose(made[:, :5], chips[0, :, 4::-1], atol=0.05)


@pytest.mark.usefixtures("build")
def test_out_is_written_to_and_nothing_else() -> None:
    chips = pictures(3, 3, 40)
    memory = np.full((5, 24, 24, 3), 7, np.float32)
    assert augment(chips, no_changes(3), SPEC, out=memory[1:4]) is not None
    assert (memory[0] == 7).all()
    assert (memory[4] == 7).all()
    assert not (memory[1:4] == 7).all(axis=(1, 2, 3)).any()
    assert augment(chips[:0], no_changes(0), SPEC).shape == (0, 24, 24, 3)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("warp", np.nan, "changes must be finite numbers"),
        ("warp", 9, r"warp must hold numbers in -8\.\.8, got 9"),
        ("detail", 0, r"detail must be in \(0, 1\], got 0"),
        ("detail", 1.5, r"detail must be in \(0, 1\]"),
        ("colours", np.inf, "changes must be finite numbers"),
    ],
)
def test_changes_out_of_their_range_are_refused_before_anything_is_written(field: str, value: float, why: str) -> None:
    wrong, out = no_changes(2), np.full((2, 24, 24, 3), 7, np.float32)
    wrong[field][1] = value
    with pytest.raises(ValueError, match=why):
        augment(pictures(0, 2, 40), wrong, SPEC, out=out)
    assert (out == 7).all()


def test_wrong_arrays_are_named() -> None:
    chips, unchanged = pictures(0, 2, 40), no_changes(2)
    with pytest.raises(ValueError, match=r"chips must be of uint8 \(S, S, 3\), got shape \(39, 40, 3\)"):
        augment(list(chips[:, 1:]), unchanged, SPEC)
    with pytest.raises(ValueError, match="got dtype float32"):
        augment(chips.astype(np.float32), unchanged, SPEC)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"changes must be of CHANGE, of shape \(2,\), got .* \(1,\)"):
        augment(chips, unchanged[:1], SPEC)
    with pytest.raises(ValueError, match=r"changes must be of CHANGE"):
        augment(chips, unchanged.view(np.float32)[: 2 * CHANGE.itemsize // 4], SPEC)
    with pytest.raises(ValueError, match="others must be as many as chips, 2, got 1"):
        augment(chips, unchanged, SPEC, [None])
    with pytest.raises(ValueError, match="out must have shape"):
        augment(chips, unchanged, SPEC, out=np.zeros((2, 25, 24, 3), np.float32))
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        augment(chips, unchanged, SPEC, threads=0)
