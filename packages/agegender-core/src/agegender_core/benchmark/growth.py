"""How times grow: with the faces of a frame, the pixels of a frame, and the tracks of a video."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.align import Aligner
from agegender_core.detect import HogDetector, make_detector
from agegender_core.draw import draw_faces
from agegender_core.faces import Faces, Frame, Stage
from agegender_core.images import decode_image, read_image
from agegender_core.predict import VIDEO_MODEL, load_predictor
from agegender_core.preprocess import preprocess
from agegender_core.tracking import FaceTracker, SortTracker

from .hardware import describe_machine
from .stages import SAMPLE
from .timing import Call, time_calls

FACES = (1, 2, 5, 10, 20, 50, 100)
FRAMES = {"VGA": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
TRACKS = (1, 10, 100, 1_000, 10_000)

# A call that took longer than so many seconds isn't made with more: what grows with the square takes a hundred times
# as long with ten times as many.
_LONGEST = 2.0
# Squares of so many pixels that move in cells of so many, four cells apart: none meets another.
_SIDE, _CELL, _STEPS = 40.0, 120.0, 8
_DELTAS = (-3.0, 3.0)


def measure_growth(
    model: str | os.PathLike[str] | None = None,
    seconds: float = 0.2,
    threads: int = 1,
    faces: Sequence[int] = FACES,
    frames: Sequence[str] = tuple(FRAMES),
    tracks: Sequence[int] = TRACKS,
) -> dict[str, Any]:
    """How the times of the stages grow, and how steeply.

    Faces are copies of one portrait in a frame of 1080p; frames are that portrait enlarged; tracks are squares that
    move, none of which comes near another.

    Args:
        model: see `load_predictor`; by default that of videos, which looks at each face once, as it does in videos.
        seconds: time to spend on each measurement.
        threads: of the networks.
        faces: numbers of faces in a frame.
        frames: names of `FRAMES`.
        tracks: numbers of tracks.

    Returns:
        A mapping with "machine" (see `describe_machine`), model, threads; "rows": a list of mappings with axis
        ("faces", "pixels" or "tracks"), n, label, stage and what `time_calls` gives, or with ``"median_ms": None``
        where it would have taken too long; and "slopes": one mapping for each axis and stage, with slope (of the
        logarithm of the median against that of n, by least squares over all sizes), slope_of_large (over the larger
        half of them, three at least: the fixed cost of a call hides growth at small sizes) and words, which say what
        that means; ``None`` and "not known" where there is only one size.
    """
    predictor = load_predictor(VIDEO_MODEL if model is None else model, threads=threads, flip=False)
    axes = itertools.chain(
        _of_faces(predictor, sorted(faces)),
        _of_frames([(name, FRAMES[name]) for name in sorted(frames, key=lambda name: FRAMES[name])], threads),
        _of_tracks(sorted(tracks)),
    )
    rows: list[dict[str, Any]] = []
    slow: set[tuple[str, str]] = set()
    for axis, n, label, stage, call in axes:
        row: dict[str, Any] = {"axis": axis, "n": n, "label": label, "stage": stage, "median_ms": None}
        if (axis, stage) not in slow:
            row |= time_calls(call, seconds)
            if row["median_ms"] > _LONGEST * 1e3:
                slow.add((axis, stage))
        rows.append(row)
    return {
        "machine": describe_machine(),
        "model": predictor.name,
        "threads": threads,
        "rows": rows,
        "slopes": slopes_of(rows),
    }


Measurement = tuple[str, int, str, str, Call]
"""Axis, n, label, stage, and what is timed."""


def _of_faces(predictor: Any, numbers: Sequence[int]) -> Iterator[Measurement]:
    spec = predictor.spec
    aligner = Aligner(spec.chip_size, spec.chip_padding)
    for number in numbers:
        frame, found = _crowd(number)
        aligned = aligner(frame, found)
        assert aligned.chips is not None
        seen = predictor(frame, aligned)
        stages: dict[str, Call] = {
            "align": partial(aligner, frame, found),
            "preprocess": partial(preprocess, aligned.chips, spec),
            "predict": partial(predictor.predict_chips, aligned.chips),
            "draw": partial(draw_faces, frame, seen),
        }
        for name, call in stages.items():
            yield "faces", number, str(number), name, call


def _crowd(number: int) -> tuple[Frame, Faces]:
    """A frame of 1080p with so many copies of the portrait's face, side by side, and where they are."""
    portrait = read_image(SAMPLE)
    face = make_detector()(portrait, Faces.empty())[:1]
    assert face.keypoints is not None
    centre, part = (face.xyxy[0, :2] + face.xyxy[0, 2:]) / 2, 1.6 * float(np.diff(face.xyxy[0, [0, 2]])[0])
    corner = np.maximum((centre - part / 2).astype(int), 0)
    patch = portrait[corner[1] : corner[1] + int(part), corner[0] : corner[0] + int(part)]
    width, height = FRAMES["1080p"]
    columns = math.ceil(math.sqrt(number * width / height))
    side = min(width // columns, height // math.ceil(number / columns), 240)
    frame = np.full((height, width, 3), 127, np.uint8)
    places = np.array([(side * (place % columns), side * (place // columns)) for place in range(number)])
    for x, y in places:
        frame[y : y + side, x : x + side] = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
    scale = side / np.array(patch.shape[1::-1])
    boxes = (face.xyxy[0].reshape(2, 2) - corner) * scale + places[:, None]
    keypoints = (face.keypoints[0] - corner) * scale + places[:, None]
    return frame, Faces(
        xyxy=boxes.reshape(-1, 4).astype(np.float32),
        score=np.ones(number, np.float32),
        keypoints=keypoints.astype(np.float32),
    )


def _of_frames(sizes: Sequence[tuple[str, tuple[int, int]]], threads: int) -> Iterator[Measurement]:
    portrait = read_image(SAMPLE)
    detectors: dict[str, Stage] = {
        "detect (picture)": make_detector(threads=threads),
        "detect (video)": make_detector(threads=threads, video=True),
        "detect by hog": HogDetector(),
    }
    for label, (width, height) in sizes:
        frame = np.asarray(cv2.resize(portrait, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()
        seen = detectors["detect (picture)"](frame, Faces.empty())
        stages: dict[str, Call] = {"decode": partial(decode_image, data)}
        stages |= {name: partial(detector, frame, Faces.empty()) for name, detector in detectors.items()}
        stages["draw"] = partial(draw_faces, frame, seen)
        for name, call in stages.items():
            yield "pixels", width * height, label, name, call


def _of_tracks(numbers: Sequence[int]) -> Iterator[Measurement]:
    for number in numbers:
        yield "tracks", number, f"{number:,}", "track", _following(number)
        yield "tracks", number, f"{number:,}", "track by sort", _sorting(number)


def _sorting(number: int) -> Call:
    tracker, steps = SortTracker(), itertools.cycle(moving_boxes(number))
    return lambda: tracker.update(next(steps))


def _following(number: int) -> Call:
    tracker, steps, scores = FaceTracker(), itertools.cycle(moving_boxes(number)), np.ones(number)
    times = itertools.count()
    return lambda: tracker.update(next(steps), scores, next(times) / 25)


def moving_boxes(number: int) -> list[npt.NDArray[np.float64]]:
    """Detections of so many squares frame by frame, there and back again: what follows the last is the first.

    Returns:
        A list of float64 (number, 4), boxes in pixels; the same row is the same square in each.
    """
    rng = np.random.default_rng(number)
    columns = math.ceil(math.sqrt(number))
    places = np.arange(number)
    corners = np.stack([places % columns, places // columns], axis=1) * _CELL + (_CELL - _SIDE) / 2
    velocity = rng.uniform(*_DELTAS, (number, 2))
    there = [np.hstack([corners + step * velocity, corners + step * velocity + _SIDE]) for step in range(_STEPS)]
    return [*there, *there[-2:0:-1]]


def slopes_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How steeply each stage grows along each axis: see `measure_growth`."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        points = groups.setdefault((row["axis"], row["stage"]), [])
        if row["median_ms"] is not None:
            points.append((math.log(row["n"]), math.log(row["median_ms"])))
    slopes = []
    for (axis, stage), points in groups.items():
        slope = large = None
        if len(points) > 1:
            slope, large = _slope(points), _slope(points[-max(3, (len(points) + 1) // 2) :])
        slopes.append({"axis": axis, "stage": stage, "slope": slope, "slope_of_large": large, "words": in_words(large)})
    return slopes


def _slope(points: Sequence[tuple[float, float]]) -> float:
    x, y = np.array(points).T
    return float(np.polyfit(x, y, 1)[0])


def in_words(slope: float | None) -> str:
    """What the slope of a growth means.

    >>> in_words(1.04), in_words(0.02), in_words(2.1)
    ('in proportion', 'hardly at all', 'with the square')
    """
    if slope is None:
        return "not known"
    for most, words in (
        (0.2, "hardly at all"),
        (0.85, "less than in proportion"),
        (1.15, "in proportion"),
        (1.75, "more than in proportion"),
        (2.25, "with the square"),
    ):
        if slope < most:
            return words
    return "faster than the square"
