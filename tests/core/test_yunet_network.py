"""YuNet by our own C++ beside ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import Frame, YuNetDetector, _core, read_image
from agegender_core.native import is_simd, native
from agegender_core.onnx_weights import convolutions
from agegender_core.yunet_network import YUNET_PATH, NativeYuNet, OnnxYuNet, YuNetNetwork, open_yunet

# Where ONNX Runtime sums up as our build does: it has other kernels for wider vectors. 13 is OpenCV's CV_CPU_AVX_512F.
AVX2 = is_simd() and not cv2.checkHardwareSupport(13)

BUILDS = pytest.mark.parametrize("build", [_core, native()], ids=["baseline", "here"])


@pytest.fixture(scope="module")
def by_onnx_runtime() -> OnnxYuNet:
    return OnnxYuNet(YUNET_PATH.read_bytes(), YUNET_PATH)


@pytest.fixture(scope="module")
def portrait(astronaut_path: Path) -> Frame:
    return read_image(astronaut_path)


@pytest.fixture(scope="module")
def crowd(shared_data: Path) -> Frame:
    return read_image(shared_data / "photos" / "pascal-faces" / "2008_004176.jpg")


def same(ours: Any, theirs: Any) -> None:
    """Equal but for the last bits of the points, and what a sigmoid's last bit does to a score."""
    for mine, other, tolerance in zip(ours, theirs, (1e-3, 1e-3, 1e-5), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


@BUILDS
@settings(max_examples=40)
@given(data=st.data())
def test_any_part_of_a_picture_has_the_faces_that_onnx_runtime_finds(
    build: Any, data: st.DataObject, crowd: Frame, by_onnx_runtime: OnnxYuNet
) -> None:
    height, width = (data.draw(st.integers(1, side)) for side in crowd.shape[:2])
    top, left = data.draw(st.integers(0, crowd.shape[0] - height)), data.draw(st.integers(0, crowd.shape[1] - width))
    part = np.ascontiguousarray(crowd[top : top + height, left : left + width])
    network = build.YuNet(convolutions(YUNET_PATH.read_bytes()))
    threshold = data.draw(st.sampled_from([0.3, 0.6]))
    theirs = by_onnx_runtime.find(part, threshold - 1e-4)
    # A score that stands at the threshold may fall on either side of it.
    found = network.find(part, threshold, 0.3, 5000)
    clear = [values[theirs[2] > threshold + 1e-4] for values in theirs]
    same([values[: len(clear[0])] for values in found], clear)
    assert len(found[0]) <= len(theirs[0])


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_faces_of_pictures_are_onnx_runtimes(
    portrait: Frame, crowd: Frame, by_onnx_runtime: OnnxYuNet, scale: float
) -> None:
    count, content = 0, YUNET_PATH.read_bytes()
    for frame in (portrait, crowd, np.ascontiguousarray(crowd[:, ::-1])):
        resized = np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        theirs = by_onnx_runtime.find(resized, 0.6)
        for threads in (1, 2, 8):
            ours = NativeYuNet(content, threads).find(resized, 0.6)
            same(ours, theirs)
            if AVX2:
                np.testing.assert_array_equal(ours[0], theirs[0])
            for mine, alone in zip(ours, NativeYuNet(content).find(resized, 0.6), strict=True):
                np.testing.assert_array_equal(mine, alone)
        count += len(theirs[0])
    assert count > 5


@pytest.mark.parametrize("make", [NativeYuNet, lambda content: OnnxYuNet(content, YUNET_PATH)], ids=["ours", "ONNX"])
def test_a_rectangle_of_a_picture_needs_no_copy(make: Callable[[bytes], YuNetNetwork], crowd: Frame) -> None:
    network, part = make(YUNET_PATH.read_bytes()), crowd[11:301, 33:400]
    for mine, other in zip(network.find(part, 0.3), network.find(part.copy(), 0.3), strict=True):
        assert len(mine) > 0
        np.testing.assert_array_equal(mine, other)


def test_the_packages_file_and_opencvs_are_run_by_our_own(shared_data: Path, tmp_path: Path) -> None:
    zoo = shared_data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx"
    for path in (YUNET_PATH, zoo):
        assert isinstance(open_yunet(path, 1)[0], NativeYuNet)
    changed = tmp_path / "yunet.onnx"
    # A producer's name that differs makes another file of the same network.
    changed.write_bytes(YUNET_PATH.read_bytes() + b"\x12\x05other")
    network, sha256 = open_yunet(changed, 1)
    assert isinstance(network, OnnxYuNet)
    assert sha256 != open_yunet(YUNET_PATH, 1)[1]


def test_another_file_of_the_network_finds_the_same(tmp_path: Path, crowd: Frame) -> None:
    changed = tmp_path / "yunet.onnx"
    changed.write_bytes(YUNET_PATH.read_bytes() + b"\x12\x05other")
    ours, theirs = YuNetDetector(), YuNetDetector(changed)
    same(ours.find(crowd), theirs.find(crowd))


@BUILDS
def test_what_it_can_not_search_is_refused(build: Any, portrait: Frame) -> None:
    layers = convolutions(YUNET_PATH.read_bytes())
    network = build.YuNet(layers)
    for bad in (portrait[:, ::2], np.asfortranarray(portrait), portrait[..., 0], portrait.astype(np.float32)):
        with pytest.raises(ValueError, match="image must be"):
            network.find(bad, 0.6, 0.3, 5000)
    with pytest.raises(ValueError, match="not empty"):
        network.find(np.empty((0, 5, 3), np.uint8), 0.6, 0.3, 5000)
    with pytest.raises(ValueError, match="threads"):
        network.find(portrait, 0.6, 0.3, 5000, 0)
    with pytest.raises(ValueError, match="53 convolutions"):
        build.YuNet(layers[1:])
    with pytest.raises(ValueError, match="another shape"):
        build.YuNet([*layers[:2], *layers[:51]])
    with pytest.raises(ValueError, match="bias"):
        build.YuNet([(weight, weight.ravel()) for weight, _ in layers])
