"""Figures of a run: quantiles in little memory, and that documents and Prometheus's text say the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from agegender_core.faces import Faces
from agegender_core.pipeline import FrameResult
from agegender_core.sources import open_source
from agegender_core.telemetry import Durations, Telemetry, memory_mb


def test_quantiles_are_exact_to_a_few_percent_and_memory_is_bounded() -> None:
    values = np.random.default_rng(0).lognormal(-3, 1, 20_000)
    durations = Durations()
    for value in values:
        durations.add(float(value))
    for part in (0.05, 0.5, 0.95):
        assert durations.quantile(part) == pytest.approx(np.quantile(values, part), rel=0.04)
    assert durations.total == pytest.approx(values.sum())
    assert len(durations._counts) < 250
    assert Durations().quantile(0.5) is None


def test_figures_of_a_run(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (64, 48), (9, 9, 9)).save(tmp_path / f'a"{number}.png')
    source = open_source(f'{tmp_path}/a"*.png')
    telemetry = Telemetry([source])
    for number in range(3):
        image = np.full((48, 64, 3), 9, np.uint8)
        image[0, 0] = 100 if number == 2 else 9
        ids = np.array([1, -1] if number < 2 else [2, 1])
        faces = Faces(xyxy=np.tile(np.float32([0, 0, 9, 9]), (2, 1)), track_id=ids)
        seconds = {"Detector": 0.02, "Predictor": 0.004}
        telemetry.add(0, FrameResult(number, 0.1, image, faces, faces, source.name, time.time() - 0.08, seconds))
    (entry,) = telemetry.document()["sources"]
    assert (entry["frames_processed"], entry["faces"], entry["tracks"], entry["frames_of_one_colour"]) == (3, 6, 2, 2)
    assert entry["frame_age_ms"]["median"] == pytest.approx(80, rel=0.2)
    assert entry["stages_ms"]["Detector"]["p95"] == pytest.approx(20, rel=0.04)
    assert "2 in view" in telemetry.line()
    text = telemetry.prometheus()
    name = source.name.replace('"', '\\"')
    assert f'agegender_frames_processed_total{{source="{name}"}} 3\n' in text
    assert f'agegender_stage_seconds_count{{source="{name}",stage="Predictor"}} 3\n' in text
    for line in text.splitlines():
        assert line.startswith("# ") or (line.startswith("agegender_") and float(line.rpartition(" ")[2]) >= 0)
    memory = memory_mb()
    assert memory is not None
    assert 30 < memory < 20_000


@pytest.mark.parametrize(("platform", "most"), [("darwin", 250_000_000), ("freebsd14", 244_141)])
def test_memory_without_proc_is_in_megabytes(monkeypatch: pytest.MonkeyPatch, platform: str, most: int) -> None:
    resource = pytest.importorskip("resource")

    def absent(self: Path, *_: object) -> str:
        raise FileNotFoundError(self)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", absent)
        patch.setattr(sys, "platform", platform)
        patch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=most))
        memory = memory_mb()
    assert memory == pytest.approx(250.0, abs=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="for glibc")
def test_memory_that_is_free_goes_back_to_the_system() -> None:
    # Small enough for the heap, each second one stays: the gaps between them are free.
    script = """if True:
        import ctypes
        from agegender_core.telemetry import memory_mb, return_free_memory
        if not hasattr(ctypes.CDLL(None), "malloc_trim"):
            raise SystemExit
        parts = [bytearray(b"1" * 100_000) for _ in range(3000)]
        del parts[::2]
        before = memory_mb()
        return_free_memory()
        assert before - memory_mb() > 100, (before, memory_mb())"""
    subprocess.run([sys.executable, "-c", script], check=True)
