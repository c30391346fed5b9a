"""How long each stage takes for one picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from agegender_core.align import Aligner
from agegender_core.detect import HogDetector, make_detector
from agegender_core.draw import draw_faces
from agegender_core.faces import Faces
from agegender_core.images import decode_image, read_image
from agegender_core.model_file import UNSURE
from agegender_core.pipeline import Pipeline
from agegender_core.predict import Predictor, load_predictor
from agegender_core.preprocess import preprocess
from agegender_core.tracking import FaceTracker, SortTracker

from .hardware import describe_machine
from .timing import Call, time_calls

SAMPLE = Path(__file__).parents[1] / "samples" / "astronaut.jpg"
"""A picture that comes with the package: NASA's portrait of the astronaut Eileen Collins, public domain."""

_BATCH = 32


def load_to_time(model: str | os.PathLike[str] | None, **options: Any) -> Predictor:
    """`load_predictor`, without second looks at faces of whose gender the network is unsure: with them the time would
    depend on the faces.
    """
    predictor = load_predictor(model, **options)
    if predictor.flip == UNSURE:
        predictor.flip = False
    return predictor


def measure_stages(
    picture: str | os.PathLike[str] = SAMPLE,
    model: str | os.PathLike[str] | None = None,
    seconds: float = 1.0,
    threads: int = 1,
    device: str = "cpu",
    runtime: str = "onnxruntime",
) -> dict[str, Any]:
    """How long each stage takes for one picture file, alone and together.

    Decoding is what `read_image` does with the file's bytes; reading them from the disk is not timed.

    Args:
        picture: a picture file with at least one face.
        model: a model file, or the name of one that comes with the package; by default that of pictures.
        seconds: time to spend on each stage.
        threads: threads of the networks.
        device: where the model runs; see `load_predictor`.
        runtime: what runs it; see `load_predictor`.

    Returns:
        A mapping with "machine" (see `describe_machine`), picture (the file's name), width, height, faces, simd, model,
        device (ONNX Runtime's provider, or "OpenVINO"), threads, cpus, and "stages": a list of mappings with name and
        what `time_calls` gives: median_ms, p10_ms, p90_ms, min_ms, runs, cpu_ms, items and per_second.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: it is no picture that can be read.
        ValueError: no face is found in the picture.
    """
    path = Path(picture)
    frame, data = read_image(path), path.read_bytes()
    detector, hog = make_detector(threads=threads), HogDetector()
    predictor = load_to_time(model, threads=threads, device=device, runtime=runtime)
    spec = predictor.spec
    aligner = Aligner(spec.chip_size, spec.chip_padding)
    found = detector(frame, Faces.empty())
    if not len(found):
        raise ValueError(f"{path}: no face was found in the picture, so there is nothing to time")
    aligned = aligner(frame, found)
    chips = aligned.chips
    assert chips is not None
    seen = predictor(frame, aligned)
    inputs = preprocess(chips, spec)
    batch = np.ascontiguousarray(np.resize(chips, (_BATCH, *chips.shape[1:])))
    tracker, sort, boxes = FaceTracker(), SortTracker(), aligned.xyxy.astype(np.float64)
    scores = np.ones(len(boxes)) if found.score is None else found.score.astype(np.float64)
    pipeline = Pipeline([detector, aligner, predictor])
    faces = len(found)
    stages: list[tuple[str, int, Call]] = [
        ("decode", 1, lambda: decode_image(data, str(path))),
        ("detect", 1, lambda: detector(frame, Faces.empty())),
        ("detect by hog", 1, lambda: hog(frame, Faces.empty())),
        ("align", faces, lambda: aligner(frame, found)),
        ("preprocess", faces, lambda: preprocess(chips, spec)),
        ("predict (network alone)", faces, lambda: predictor.predict_inputs(inputs)),
        ("predict (with preprocess)", faces, lambda: predictor.predict_chips(chips)),
        (f"predict, batch of {_BATCH}", _BATCH, lambda: predictor.predict_chips(batch)),
        ("track", faces, lambda: tracker.update(boxes, scores, 0.0)),
        ("track by sort", faces, lambda: sort.update(boxes)),
        ("draw", faces, lambda: draw_faces(frame, seen)),
        ("decode to predict", 1, lambda: pipeline(decode_image(data, str(path)))),
    ]
    machine = describe_machine()
    return {
        "machine": machine,
        "picture": path.name,
        "width": frame.shape[1],
        "height": frame.shape[0],
        "faces": faces,
        "simd": machine["simd"],
        "model": predictor.name,
        "device": predictor.provider,
        "threads": threads,
        "cpus": machine["cpus"],
        "stages": [{"name": name, **time_calls(stage, seconds, items)} for name, items, stage in stages],
    }
