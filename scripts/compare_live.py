"""Print frames a second, recall and changes of id of `agegender stream`'s way beside that of 2018, video by video.

    uv run python scripts/compare_live.py street.mp4 interview.mp4 --people scripts/people

The way of Agendernet (2018): OpenCV reads, dlib's HOG detector, 5 landmarks and chips of each frame, `keras predict` of
all faces of the frame, SORT. Ours: the same file through `open_source` and `Pipeline.for_video()`. Both decode within
the time that counts, write nothing, and run by turns, --runs times each; the median counts. Only the time of the Keras
network matters here, so its weights are random. Recall and changes of id are as in scripts/measure_tracks.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import dlib
import numpy as np
from measure_tracks import Score, read_people

from agegender_core import Faces, FrameResult, Pipeline, SortTracker, YuNetDetector, open_source
from agegender_core.align import LANDMARKS_PATH
from agegender_train.models import build_model


class OldWay:
    """One call a video; the network is kept."""

    def __init__(self) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.landmarks = dlib.shape_predictor(str(LANDMARKS_PATH))
        self.network = build_model("mobilenetv2", weights=None)

    def __call__(self, path: str) -> Iterator[FrameResult]:
        capture, tracker, index = cv2.VideoCapture(path), SortTracker(), 0
        rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
        while True:
            there, frame = capture.read()
            if not there:
                return
            image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            found = self.detector(image, 0)
            boxes = np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in found], np.float32)
            faces = Faces(boxes.reshape(-1, 4))
            if found:
                shapes = [self.landmarks(image, rectangle) for rectangle in found]
                chips = [dlib.get_face_chip(image, shape, 140, 0.4) for shape in shapes]
                side = self.network.input_shape[1]
                batch = np.stack([cv2.resize(chip, (side, side)) for chip in chips]).astype(np.float32)
                self.network.predict(batch / 127.5 - 1, verbose=0)
            tracks, rows = tracker.update_with_rows(faces.xyxy)
            ids = np.full(len(faces), -1, np.int64)
            ids[rows] = tracks[:, 4]
            faces = faces.with_columns(track_id=ids)
            yield FrameResult(index, index / rate, np.asarray(image, np.uint8), faces, faces)
            index += 1


def our_way(path: str) -> Iterator[FrameResult]:
    with open_source(path) as source:
        yield from Pipeline.for_video().run(source)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--people", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ways: dict[str, Callable[[str], Iterator[FrameResult]]] = {"2018": OldWay(), "ours": our_way}
    look = YuNetDetector(threshold=0.7, min_face=16, straighten=False)
    for way in ways.values():  # the first call of a network makes its graph
        next(iter(way(str(args.videos[0]))), None)
    print(f"  {'':8}{'frames/s':>9}{'ratio':>7} {'people':>7} {'tracks':>6} {'false':>5} {'switches':>8} {'recall':>8}")
    for video in args.videos:
        people = read_people(args.people / f"{video.stem}.txt")
        with open_source(str(video)) as source:
            yardsticks = [look(frame.image, Faces.empty()).xyxy for frame in source]
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        scores = {name: Score(people) for name in ways}
        for run in range(args.runs):
            for name, way in ways.items():
                start = time.perf_counter()
                results = list(way(str(video)))
                seconds[name].append(time.perf_counter() - start)
                if run == 0:
                    for result, yardstick in zip(results, yardsticks, strict=True):
                        scores[name].add(result, yardstick)
                del results
        print(f"{video.name}, {len(yardsticks)} frames")
        before = statistics.median(seconds["2018"])
        for name in ways:
            took = statistics.median(seconds[name])
            print(f"  {name:8}{len(yardsticks) / took:9.1f}{before / took:7.1f} {scores[name].row()}", flush=True)


if __name__ == "__main__":
    main()
