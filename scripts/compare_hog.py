"""Print the boxes and times of `HogDetector`, exact and fast, on one thread and on two, beside those of dlib's wheel.

    uv run python scripts/compare_hog.py pictures/ video.mp4 --every 10

A source is a video, a folder of pictures or a glob of them. All detectors see the same frames, by turns, as often as
--repeats says. The milliseconds are means over the frames of each one's median; the ratios are dlib's time for all
frames to ours in each turn, as median and range.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import dlib
import numpy as np
import numpy.typing as npt

from agegender_core import Faces, Frame, HogDetector, iou, open_source

Boxes = npt.NDArray[np.float32]


def frames_of(sources: list[str], every: int) -> Iterator[Frame]:
    for name in sources:
        with open_source(name) as source:
            for number, frame in enumerate(source):
                if number % every == 0:
                    yield frame.image


def boxes_of(rectangles: dlib.rectangles) -> Boxes:
    """dlib's rectangles hold their last pixel."""
    return np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in rectangles], np.float32).reshape(-1, 4)


def ours(**options: object) -> Callable[[Frame], Boxes]:
    detector = HogDetector(**options)  # type: ignore[arg-type]
    return lambda image: detector(image, Faces.empty()).xyxy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take each N-th frame or picture")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    theirs = dlib.get_frontal_face_detector()
    detectors: dict[str, Callable[[Frame], Boxes]] = {
        "dlib": lambda image: boxes_of(theirs(image, 0)),
        "exact": ours(),
        "exact, 2 threads": ours(threads=2),
        "fast": ours(exact=False),
        "fast, 2 threads": ours(exact=False, threads=2),
    }
    seconds: dict[str, list[list[float]]] = {name: [] for name in detectors}
    same, near, extra = (dict.fromkeys(detectors, 0) for _ in range(3))
    faces = 0
    for image in frames_of(args.sources, args.every):
        turns: dict[str, list[float]] = {name: [] for name in detectors}
        for turn in range(args.repeats):
            for name, detect in detectors.items():
                start = time.perf_counter()
                found = detect(image)
                turns[name].append(time.perf_counter() - start)
                if turn > 0:
                    continue
                if name == "dlib":
                    expected = found
                    faces += len(found)
                overlaps = iou(expected, found)
                same[name] += sum((found == box).all(1).any() for box in expected)
                near[name] += int((overlaps.max(1, initial=0) >= 0.7).sum())
                extra[name] += int((overlaps.max(0, initial=0) < 0.7).sum())
        for name, times in turns.items():
            seconds[name].append(times)
    print(f"{len(seconds['dlib'])} frames, {faces} faces found by dlib")
    print(f"{'':18}same box  IoU >= 0.7  others  ms a frame  dlib / this (range of {args.repeats} turns)")
    totals = {name: np.array(times).sum(axis=0) for name, times in seconds.items()}
    for name, times in seconds.items():
        ratios = np.sort(totals["dlib"] / totals[name])
        milliseconds = 1e3 * np.median(times, axis=1).mean()
        print(
            f"{name:18}{same[name]:8}{near[name]:12}{extra[name]:8}{milliseconds:12.2f}"
            f"  {np.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
