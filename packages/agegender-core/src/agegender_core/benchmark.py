"""How long each stage takes on this machine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .align import Aligner
from .detect import HogDetector
from .faces import Faces, Frame
from .predict import load_predictor
from .preprocess import preprocess
from .tracking import SortTracker

SAMPLE = Path(__file__).parent / "samples" / "astronaut.jpg"
"""A picture that comes with the package: NASA's portrait of the astronaut Eileen Collins, public domain."""


def measure_stages(
    frame: Frame, model: str | os.PathLike[str] | None = None, seconds: float = 1.0, threads: int = 1
) -> dict[str, Any]:
    """Median latency of detection, alignment, preprocessing, prediction and tracking on one picture.

    Args:
        frame: a picture with at least one face.
        model: a model file; by default the one that comes with the package.
        seconds: time to spend on each stage.
        threads: threads of the model.

    Returns:
        A mapping with width, height, faces, simd, model, threads, cpus, and "stages": a list of mappings with name,
        median_ms, min_ms and runs.

    Raises:
        ValueError: no face is found in the picture.
    """
    detector, predictor = HogDetector(), load_predictor(model, threads=threads)
    spec = predictor.spec
    aligner = Aligner(spec.chip_size, spec.chip_padding)
    found = detector(frame, Faces.empty())
    if not len(found):
        raise ValueError("no face was found in the picture: there is nothing to time")
    aligned = aligner(frame, found)
    chips = aligned.chips
    assert chips is not None
    tracker, boxes = SortTracker(), aligned.xyxy.astype(np.float64)
    stages: list[tuple[str, Callable[[], object]]] = [
        ("detect", lambda: detector(frame, Faces.empty())),
        ("align", lambda: aligner(frame, found)),
        ("preprocess", lambda: preprocess(chips, spec)),
        ("predict (with preprocess)", lambda: predictor.predict_chips(chips)),
        ("predict, batch of 32", lambda: predictor.predict_chips(batch)),
        ("track", lambda: tracker.update(boxes)),
        ("all of a picture", lambda: predictor(frame, aligner(frame, detector(frame, Faces.empty())))),
    ]
    batch = np.ascontiguousarray(np.resize(chips, (32, *chips.shape[1:])))
    return {
        "width": frame.shape[1],
        "height": frame.shape[0],
        "faces": len(found),
        "simd": detector.simd,
        "model": predictor.name,
        "threads": threads,
        "cpus": os.cpu_count(),
        "stages": [{"name": name, **_time(stage, seconds)} for name, stage in stages],
    }


def _time(call: Callable[[], object], seconds: float) -> dict[str, float | int]:
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return {"median_ms": statistics.median(times), "min_ms": min(times), "runs": len(times)}
