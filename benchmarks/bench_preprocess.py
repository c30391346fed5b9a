"""One picture's way to an aligned chip beside the plain one of dlib-bin and OpenCV, with equal output asserted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import dlib
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import Frame, decode_image
from agegender_core.align import LANDMARKS_PATH
from agegender_train.datasets import Sample
from agegender_train.preprocessing.pictures import PreprocessSettings, Row, default_tools, process_picture
from agegender_train.store import decode_chip, encode_chip

SIZE, PADDING = 140, 0.4


def jpeg(rgb: Any) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.fixture(scope="module")
def large(portrait: Frame) -> bytes:
    """4000 x 3000 pixels with a face of about 430, as a camera would write them."""
    photo = np.tile(portrait[300:, :100].mean(axis=(0, 1)).astype(np.uint8), (3000, 4000, 1))
    photo = cv2.add(photo, cv2.randn(np.empty(photo.shape, np.int16), 0, 4), dtype=cv2.CV_8U)
    photo[500:2500, 300:2860] = cv2.resize(portrait, (2560, 2000), interpolation=cv2.INTER_CUBIC)
    return jpeg(photo)


@pytest.fixture(scope="module")
def small(portrait: Frame) -> bytes:
    """160 x 160 pixels with a face of about 85."""
    return jpeg(portrait[40:200, 140:300])


def plain(data: bytes, detector: Any, landmarks: Any) -> tuple[list[float], np.ndarray]:
    rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    box = max(detector(rgb, 0), key=lambda rectangle: rectangle.area())
    chip = dlib.get_face_chip(rgb, landmarks(rgb, box), SIZE, PADDING)
    cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return [box.left(), box.top(), box.right(), box.bottom()], chip


def race(benchmark: BenchmarkFixture, data: bytes, who: str, rounds: int) -> Row:
    """Times `who`, asserts that our chip is dlib's for our box, and gives our row."""
    detector, landmarks = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(LANDMARKS_PATH))
    settings = PreprocessSettings("bench", "detect", SIZE, PADDING)
    tools = default_tools(settings)
    calls: dict[str, Callable[[], Any]] = {
        "ours": lambda: process_picture(data, Sample("1.jpg", 30, 30, 0), settings, tools).rows[0],
        "dlib-bin+opencv": lambda: plain(data, detector, landmarks),
    }
    benchmark.pedantic(calls[who], rounds=rounds, warmup_rounds=1)
    row: Row = calls["ours"]()
    rgb = decode_image(data)
    left, top, right, bottom = (int(edge) for edge in row["box"])
    rectangle = dlib.rectangle(left, top, right - 1, bottom - 1)
    theirs = dlib.get_face_chip(rgb, landmarks(rgb, rectangle), SIZE, PADDING)
    np.testing.assert_array_equal(decode_chip(row["image"]["bytes"]), decode_chip(encode_chip(theirs)))
    box, _ = calls["dlib-bin+opencv"]()
    assert dlib.rectangle(*box).intersect(rectangle).area() > 0.55 * dlib.rectangle(*box).area()
    return row


@pytest.mark.benchmark(group="preprocess, one picture of 12 megapixels")
@pytest.mark.parametrize("who", ["ours", "dlib-bin+opencv"])
def bench_large(benchmark: BenchmarkFixture, large: bytes, who: str) -> None:
    race(benchmark, large, who, rounds=3)


@pytest.mark.benchmark(group="preprocess, one picture of 160 x 160")
@pytest.mark.parametrize("who", ["ours", "dlib-bin+opencv"])
def bench_small(benchmark: BenchmarkFixture, small: bytes, who: str) -> None:
    race(benchmark, small, who, rounds=200)


@pytest.mark.benchmark(group="decode to RGB, 12 megapixels")
@pytest.mark.parametrize("who", ["ours", "opencv+cvtColor", "opencv+numpy"])
def bench_decode(benchmark: BenchmarkFixture, large: bytes, who: str) -> None:
    def decode() -> np.ndarray:
        return cv2.imdecode(np.frombuffer(large, np.uint8), cv2.IMREAD_COLOR)

    calls: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: decode_image(large),
        "opencv+cvtColor": lambda: cv2.cvtColor(decode(), cv2.COLOR_BGR2RGB),
        "opencv+numpy": lambda: np.ascontiguousarray(decode()[..., ::-1]),
    }
    np.testing.assert_array_equal(benchmark.pedantic(calls[who], rounds=8, warmup_rounds=1), calls["opencv+numpy"]())
