from __future__ import annotations

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import PreprocessSpec, preprocess

shares = runpy.run_path(str(Path(__file__).with_name("reference_resize.py")))["shares"]

margins = st.floats(0, 0.4)


def reference(chips: np.ndarray, spec: PreprocessSpec) -> np.ndarray:
    left, top, right, bottom = spec.crop
    rows = shares(top, bottom, spec.input_size, spec.chip_size)
    columns = shares(left, right, spec.input_size, spec.chip_size)
    out = np.einsum("ih,nhwc,jw->nijc", rows, chips.astype(float), columns)
    if spec.color == "bgr":
        out = out[..., ::-1]
    out = (out - spec.mean) * spec.scale
    return out.transpose(0, 3, 1, 2) if spec.layout == "nchw" else out


@settings(max_examples=60, deadline=None)
@given(
    input_size=st.integers(1, 40),
    chip_size=st.integers(1, 50),
    margin=margins,
    color=st.sampled_from(["rgb", "bgr"]),
    layout=st.sampled_from(["nhwc", "nchw"]),
    seed=st.integers(0, 99),
)
def test_equals_the_plain_reference(
    input_size: int, chip_size: int, margin: float, color: str, layout: str, seed: int
) -> None:
    spec = PreprocessSpec(
        input_size,
        chip_size,
        margin=margin,
        color=color,  # type: ignore[arg-type]
        layout=layout,  # type: ignore[arg-type]
        mean=(127.5, 110.0, 90.0),
        scale=(1 / 127.5, 1 / 60, 0.5),
    )
    chips = np.random.default_rng(seed).integers(0, 256, (2, chip_size, chip_size, 3), np.uint8)
    np.testing.assert_allclose(preprocess(chips, spec), reference(chips, spec), atol=2e-3)


def test_whole_chips_are_averaged_as_opencv_does() -> None:
    chips = np.random.default_rng(0).integers(0, 256, (1, 140, 140, 3), np.uint8)
    ours = preprocess(chips, PreprocessSpec(64))[0]
    theirs = cv2.resize(chips[0].astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_out_is_written_to() -> None:
    spec = PreprocessSpec(8, 16)
    chips = np.full((3, 16, 16, 3), 9, np.uint8)
    out = np.zeros((3, 8, 8, 3), np.float32)
    assert preprocess(chips, spec, out) is out
    np.testing.assert_allclose(out, 9, rtol=1e-6)
    assert preprocess(chips[:0], spec).shape == (0, 8, 8, 3)


def test_wrong_arrays_are_named() -> None:
    spec = PreprocessSpec(8, 16)
    with pytest.raises(ValueError, match=r"chips must have shape \(n, 16, 16, 3\), got \(1, 15, 16, 3\)"):
        preprocess(np.zeros((1, 15, 16, 3), np.uint8), spec)
    with pytest.raises(ValueError, match="got dtype float32"):
        preprocess(np.zeros((1, 16, 16, 3), np.float32), spec)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="out must have shape"):
        preprocess(np.zeros((1, 16, 16, 3), np.uint8), spec, np.zeros((1, 9, 8, 3), np.float32))


def test_views_are_taken() -> None:
    chips = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    spec = PreprocessSpec(8, 16)
    np.testing.assert_array_equal(preprocess(chips[::-1], spec), preprocess(chips, spec)[::-1])


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["rgb", "bgr"]))
def test_specs_survive_json(size: int, one: float, other: float, color: str) -> None:
    margin, padding = sorted((one, other))
    spec = PreprocessSpec(size, 140, padding, margin, color)  # type: ignore[arg-type]
    assert PreprocessSpec.from_json(spec.to_json()) == spec
    left, top, right, bottom = spec.crop
    assert left == top
    assert right == bottom
    assert -1e-9 <= left < right <= 140 + 1e-9
    assert (right - left) / 140 == pytest.approx((1 + 2 * margin) / (1 + 2 * padding))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"margin": 0.5}, "margin must lie between 0 and chip_padding"),
        ({"color": "grey"}, "color must be one of rgb, bgr"),
        ({"input_size": 0}, "input_size and chip_size"),
        ({"scale": [1, 2]}, "scale must hold three numbers"),
        ({"sharpen": True}, "does not know: sharpen"),
    ],
)
def test_bad_specs_are_refused(change: dict[str, object], why: str) -> None:
    import json

    text = json.dumps({**json.loads(PreprocessSpec(64).to_json()), **change})
    with pytest.raises(ValueError, match=why):
        PreprocessSpec.from_json(text)


def test_a_spec_that_lacks_a_field() -> None:
    with pytest.raises(ValueError, match="lacks"):
        PreprocessSpec.from_json('{"input_size": 64}')
    with pytest.raises(ValueError, match="JSON object"):
        PreprocessSpec.from_json("[]")
