"""Print how many faces of annotated photos and of videos each detector finds, and how long it looks.

    uv run python scripts/measure_recall.py --photos testing.xml training.xml --videos street.mp4 walking.gif

Photos come with boxes in dlib's XML; a box is found if a detector's box overlaps it by an IoU of 0.3. "others" are
faces without a box: the annotators left out small ones and those in the background. For videos the yardstick is YuNet
at a score of 0.7 on every frame in its full size; detectors are as `Pipeline.for_video` has them.
"""

from __future__ import annotations

import argparse
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agegender_core import Faces, Frame, YuNetDetector, iou, open_source, read_image
from agegender_core.detect import DETECTORS, make_detector
from agegender_core.faces import Stage

IOU = 0.3
Case = tuple[Frame, npt.NDArray[np.float32]]


def annotated(files: Iterable[Path]) -> Iterator[Case]:
    for file in files:
        for image in ElementTree.parse(file).getroot().iter("image"):
            boxes = [
                [float(box.get(side, 0)) for side in ("left", "top", "width", "height")] for box in image.iter("box")
            ]
            corners = np.array(boxes, np.float32).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            yield read_image(file.parent / image.get("file", "")), corners


def measured(name: str, detector: Stage, cases: Iterable[Case]) -> None:
    there = found = others = pictures = 0
    milliseconds = []
    for frame, boxes in cases:
        start = time.perf_counter()
        faces = detector(frame, Faces.empty())
        milliseconds.append(1e3 * (time.perf_counter() - start))
        overlaps = iou(boxes, faces.xyxy) >= IOU
        pictures += 1
        there += len(boxes)
        found += int(overlaps.any(axis=1).sum())
        others += int((~overlaps.any(axis=0)).sum())
    middle = float(np.median(milliseconds))
    print(f"  {name:22}{pictures:9}{there:8}{found / max(there, 1):9.1%}{others:8}{middle:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, nargs="+", default=[])
    parser.add_argument("--videos", type=Path, nargs="+", default=[])
    parser.add_argument("--every", type=int, default=1, help="look at every n-th frame only")
    args = parser.parse_args()
    print(f"  {'':22}{'pictures':>9}{'faces':>8}{'found':>9}{'others':>8}{'ms':>8}")
    if args.photos:
        print("photos")
        photos = list(annotated(args.photos))
        for name in DETECTORS:
            measured(name, make_detector(name), photos)
    for video in args.videos:
        print(video.name)
        with open_source(str(video)) as source:
            frames = [frame.image for number, frame in enumerate(source) if number % args.every == 0]
        yardstick = YuNetDetector(threshold=0.7, min_face=16, straighten=False)
        cases = [(frame, yardstick(frame, Faces.empty()).xyxy) for frame in frames]
        for name in DETECTORS:
            measured(name, make_detector(name, video=True), cases)


if __name__ == "__main__":
    main()
