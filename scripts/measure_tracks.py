"""Print how well faces of videos are followed: who gets a track, how often ids and genders change, at what speed.

    uv run python scripts/measure_tracks.py street.mp4 interview.mp4 --people scripts/people

FOLDER of --people holds for each video NAME.txt with its people, one row a face and frame, as the MOT benchmarks have
them: frame (from 1), person, left, top, width, height, and 1, or 0 for a face that need not be found. They are YuNet's
detections in the full size, grouped by eye. For each way to follow faces:

  people    with a track that has their face in five frames or more, of those that there are
  tracks    in all, and false: those that have nobody's face in most of their frames
  switches  changes of id over the frames of one person
  recall    of the faces in the file, and of what YuNet finds at a score of 0.7 in the full size, in every frame
  gender    changes within a track, of what the network says and of what is shown
  frames/s  of the whole pipeline, on frames that are in memory; the fastest of --runs
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from agegender_core import Faces, FrameResult, Pipeline, SortTracker, TimedFrame, YuNetDetector, iou, open_source

IOU = 0.35
WAYS: dict[str, Callable[[], Pipeline]] = {
    "hog, sort": lambda: Pipeline.for_video(detector="hog", tracker=SortTracker(25, 1, 0.1), max_age=1.0),
    "yunet, sort": lambda: Pipeline.for_video(tracker=SortTracker(25, 1, 0.1), max_age=1.0),
    "yunet, each frame": lambda: Pipeline.for_video(detect_every=1),
    "yunet, each 3rd": lambda: Pipeline.for_video(detect_every=3),
    "default": lambda: Pipeline.for_video(),
}


class Person(NamedTuple):
    number: int
    box: npt.NDArray[np.float64]
    counts: bool


def read_people(path: Path) -> Mapping[int, Sequence[Person]]:
    people: dict[int, list[Person]] = defaultdict(list)
    for line in path.read_text().splitlines():
        frame, person, left, top, width, height, counts = map(int, line.split(","))
        people[frame - 1].append(Person(person, np.array([left, top, left + width, top + height], float), counts > 0))
    return people


def matches(wanted: npt.NDArray[np.floating], given: npt.NDArray[np.floating]) -> dict[int, int]:
    """Row of `given` of each row of `wanted` that has one, at the greatest total IoU."""
    if not len(wanted) or not len(given):
        return {}
    overlap = iou(wanted, given)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if overlap[row, column] >= IOU}


class Score:
    def __init__(self, people: Mapping[int, Sequence[Person]]) -> None:
        self.people = people
        self.owners: dict[int, Counter[int]] = defaultdict(Counter)
        self.seen: Counter[int] = Counter()
        self.last: dict[int, int] = {}
        self.switches = self.there = self.found = 0
        self.genders: dict[bool, dict[int, bool]] = {True: {}, False: {}}
        self.changes: Counter[bool] = Counter()
        self.yardstick, self.of_yardstick = 0, 0

    def add(self, result: FrameResult, yardstick: npt.NDArray[np.float32]) -> None:
        people = self.people.get(result.index, [])
        faces = result.faces[result.faces.track_id >= 0] if result.faces.track_id is not None else result.faces[:0]
        ids = [] if faces.track_id is None else faces.track_id.tolist()
        pairs = matches(np.array([person.box for person in people]).reshape(-1, 4), faces.xyxy)
        for row, person in enumerate(people):
            self.there += person.counts
            if row not in pairs:
                continue
            number = ids[pairs[row]]
            self.owners[number][person.number] += 1
            if person.counts:
                self.found += 1
                self.seen[person.number] += 1
                self.switches += self.last.get(person.number, number) != number
                self.last[person.number] = number
        for row in set(range(len(faces))) - set(pairs.values()):
            self.owners[ids[row]][-1] += 1
        self.yardstick += len(yardstick)
        self.of_yardstick += len(matches(yardstick, faces.xyxy))
        for smoothed, record in ((False, result.raw), (True, result.faces)):
            self._add_genders(smoothed, record)

    def _add_genders(self, smoothed: bool, faces: Faces) -> None:
        if faces.p_male is None or faces.track_id is None:
            return
        for number, p_male in zip(faces.track_id.tolist(), faces.p_male.tolist(), strict=True):
            if number >= 0 and p_male == p_male:  # not NaN: not looked at in this frame
                before = self.genders[smoothed].get(number)
                self.genders[smoothed][number] = p_male >= 0.5
                self.changes[smoothed] += before is not None and before != (p_male >= 0.5)

    def row(self) -> str:
        known = {person.number for row in self.people.values() for person in row if person.counts}
        with_track = sum(self.seen[number] >= 5 for number in known)
        false = sum(owners.most_common(1)[0][0] == -1 for owners in self.owners.values())
        recalls = f"{self.found / max(self.there, 1):8.1%} {self.of_yardstick / max(self.yardstick, 1):7.1%}"
        return (
            f"{f'{with_track}/{len(known)}':>7} {len(self.owners):6} {false:5} {self.switches:8} {recalls} "
            f"{self.changes[False]:5} {self.changes[True]:5}"
        )


def measure(frames: Sequence[TimedFrame], people: Mapping[int, Sequence[Person]], runs: int) -> None:
    look = YuNetDetector(threshold=0.7, min_face=16, straighten=False)
    yardsticks = [look(frame.image, Faces.empty()).xyxy for frame in frames]
    for name, make in WAYS.items():
        pipeline, best = make(), float("inf")
        for _ in range(runs):
            score, start = Score(people), time.perf_counter()
            results = list(pipeline.run(frames))
            best = min(best, time.perf_counter() - start)
        for result, yardstick in zip(results, yardsticks, strict=True):
            score.add(result, yardstick)
        print(f"  {name:20}{score.row()} {len(frames) / best:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--people", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    print(
        f"  {'':20}{'people':>7} {'tracks':>6} {'false':>5} {'switches':>8} {'recall':>8} {'yunet':>7} {'raw':>5} ",
        end="",
    )
    print(f"{'shown':>5} {'frames/s':>8}")
    for video in args.videos:
        with open_source(str(video)) as source:
            frames = list(source)
        people = read_people(args.people / f"{video.stem}.txt")
        there = sum(person.counts for row in people.values() for person in row)
        print(f"{video.name}, {len(frames)} frames, {there} faces that count")
        measure(frames, people, args.runs)


if __name__ == "__main__":
    main()
