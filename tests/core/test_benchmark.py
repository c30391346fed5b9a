"""The times of the stages: each is there, and says what it is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agegender_core import benchmark, images, write_image
from agegender_core.benchmark import SAMPLE, measure_stages

STAGES = [
    "decode",
    "detect",
    "detect by hog",
    "align",
    "preprocess",
    "predict (with preprocess)",
    "predict, batch of 32",
    "track",
    "decode to predict",
]


def test_each_stage_is_timed_and_decoding_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def decode(data: bytes, name: str) -> images.Frame:
        decoded.append(data)
        return images.decode_image(data, name)

    monkeypatch.setattr(benchmark, "decode_image", decode)
    report = measure_stages(SAMPLE, seconds=0.01)
    assert [stage["name"] for stage in report["stages"]] == STAGES
    times = {stage["name"]: stage for stage in report["stages"]}
    assert len(decoded) == times["decode"]["runs"] + times["decode to predict"]["runs"] + 2  # one each to warm up
    assert set(decoded) == {SAMPLE.read_bytes()}
    assert times["decode to predict"]["median_ms"] > times["decode"]["median_ms"] > 0
    assert (report["picture"], report["width"], report["height"], report["faces"]) == (SAMPLE.name, 512, 400, 1)


def test_a_picture_without_a_face_and_no_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "grey.png", np.full((100, 100, 3), 128, np.uint8))
    with pytest.raises(ValueError, match=r"grey.png: no face was found"):
        measure_stages(tmp_path / "grey.png", seconds=0.01)
    with pytest.raises(FileNotFoundError):
        measure_stages(tmp_path / "gone.png")
