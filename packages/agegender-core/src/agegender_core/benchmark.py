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
from .detect import HogDetector, make_detector
from .faces import Faces
from .images import decode_image, read_image
from .pipeline import Pipeline
from .predict import load_predictor
from .preprocess import preprocess
from .tracking import SortTracker

SAMPLE = Path(__file__).parent / "samples" / "astronaut.jpg"
"""A picture that comes with the package: NASA's portrait of the astronaut Eileen Collins, public domain."""


def measure_stages(
    picture: str | os.PathLike[str] = SAMPLE,
    model: str | os.PathLike[str] | None = None,
    seconds: float = 1.0,
    threads: int = 1,
    device: str = "cpu",
) -> dict[str, Any]:
    """Median latency of decoding, detection, alignment, preprocessing, prediction and tracking for one picture file.

    Decoding is what `read_image` does with the file's bytes; reading them from the disk is not timed.

    Args:
        picture: a picture file with at least one face.
        model: a model file, or the name of one that comes with the package; by default that of pictures.
        seconds: time to spend on each stage.
        threads: threads of the model.
        device: where the model runs; see `load_predictor`.

    Returns:
        A mapping with picture (the file's name), width, height, faces, simd, model, device (ONNX Runtime's provider),
        threads, cpus, and "stages": a list of mappings with name, median_ms, min_ms and runs.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: it is no picture that can be read.
        ValueError: no face is found in the picture.
    """
    path = Path(picture)
    frame, data = read_image(path), path.read_bytes()
    detector, hog = make_detector(threads=threads), HogDetector()
    predictor = load_predictor(model, threads=threads, device=device)
    spec = predictor.spec
    aligner = Aligner(spec.chip_size, spec.chip_padding)
    found = detector(frame, Faces.empty())
    if not len(found):
        raise ValueError(f"{path}: no face was found in the picture, so there is nothing to time")
    aligned = aligner(frame, found)
    chips = aligned.chips
    assert chips is not None
    tracker, boxes = SortTracker(), aligned.xyxy.astype(np.float64)
    stages: list[tuple[str, Callable[[], object]]] = [
        ("decode", lambda: decode_image(data, str(path))),
        ("detect", lambda: detector(frame, Faces.empty())),
        ("detect by hog", lambda: hog(frame, Faces.empty())),
        ("align", lambda: aligner(frame, found)),
        ("preprocess", lambda: preprocess(chips, spec)),
        ("predict (with preprocess)", lambda: predictor.predict_chips(chips)),
        ("predict, batch of 32", lambda: predictor.predict_chips(batch)),
        ("track", lambda: tracker.update(boxes)),
        ("decode to predict", lambda: pipeline(decode_image(data, str(path)))),
    ]
    pipeline = Pipeline([detector, aligner, predictor])
    batch = np.ascontiguousarray(np.resize(chips, (32, *chips.shape[1:])))
    return {
        "picture": path.name,
        "width": frame.shape[1],
        "height": frame.shape[0],
        "faces": len(found),
        "simd": hog.simd,
        "model": predictor.name,
        "device": predictor.provider,
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
