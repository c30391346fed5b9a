"""Print the errors of counts at lines and in a zone on sequences of the MOT benchmarks, beside supervision's LineZone.

    uv run python scripts/measure_counting.py mot/PETS09-S2L1 mot/TUD-Stadtmitte

A sequence is a folder with gt.txt (rows with column 7 > 0 count), det.txt and seqinfo.ini. There are six lines, across
the frame from edge to edge at a quarter, a half and three quarters of its width and height, and one zone, the middle
half of both. Nothing is chosen by looking at the videos.

What is true is counted with the boxes and ids of gt.txt, each id a person. The counts with tracks are of the same
lines: our tracker on det.txt, then `agegender_core.counting`, and with the same tracks supervision's LineZone, once
with the middle of the box as we have it and once with its default, all four corners. What supervision counts is
compared with what it counts with gt.txt. The error is the sum of the differences of all counts (a count is of a line
and a direction) divided by the sum of the true ones; a visit of the zone begins when somebody enters it or appears in
it. With --no-links each track is a person.
"""

from __future__ import annotations

import argparse
import configparser
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import supervision

from agegender_core import Faces, FaceTracker, SortTracker
from agegender_core.counting import Counter, Line, PersonLinker, Zone

PARTS = (0.25, 0.5, 0.75)
LINES = tuple(
    line
    for part in PARTS
    for line in (Line(f"x={part}", (part, 0.0), (part, 1.0)), Line(f"y={part}", (0.0, part), (1.0, part)))
)
ZONE = Zone("middle", ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
CORNERS = (
    *(supervision.Position.TOP_LEFT, supervision.Position.TOP_RIGHT),
    *(supervision.Position.BOTTOM_LEFT, supervision.Position.BOTTOM_RIGHT),
)
MIDDLE = (supervision.Position.CENTER,)
Counts: TypeAlias = Tally[tuple[str, str]]


class MotFolder:
    """One folder: frames with boxes, and how large and fast they are."""

    def __init__(self, folder: Path) -> None:
        config = configparser.ConfigParser()
        config.read(folder / "seqinfo.ini")
        about = config["Sequence"]
        self.size = int(about["imWidth"]), int(about["imHeight"])
        self.rate, self.length = float(about["frameRate"]), int(about["seqLength"])
        truth = np.loadtxt(folder / "gt.txt", delimiter=",", ndmin=2)
        self._truth, self._found = truth[truth[:, 6] > 0], np.loadtxt(folder / "det.txt", delimiter=",", ndmin=2)

    def true_tracks(self) -> Iterator[Faces]:
        for time, rows in self._frames(self._truth):
            yield Faces(_boxes(rows), track_id=rows[:, 1].astype(np.int64), time=time)

    def tracks(self, tracker: SortTracker | FaceTracker) -> Iterator[Faces]:
        for time, rows in self._frames(self._found):
            boxes = _boxes(rows)
            if isinstance(tracker, FaceTracker):
                ids = tracker.update(boxes, rows[:, 6], time)
            else:
                ids = np.full(len(rows), -1, np.int64)
                tracks, matched = tracker.update_with_rows(boxes)
                ids[matched] = tracks[:, 4]
            yield Faces(boxes, track_id=ids, time=time)

    def _frames(self, table: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        for number in range(1, self.length + 1):
            yield (number - 1) / self.rate, table[table[:, 0] == number]


def _boxes(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32).reshape(-1, 4)


def ours(sequence: MotFolder, tracks: Iterator[Faces], **settings: Any) -> tuple[Counts, int]:
    counter = Counter(LINES, (ZONE,), sequence.size, **settings)
    for faces in tracks:
        counter.update(faces)
    counter.finish(sequence.length / sequence.rate)
    kinds = counter.totals[ZONE.name].kinds
    crossings = {(line.name, way): counter.totals[line.name].kinds[way] for line in LINES for way in ("in", "out")}
    return Tally(crossings), kinds["entered"] + kinds["appeared"]


def theirs(sequence: MotFolder, tracks: Iterator[Faces], anchors: Sequence[supervision.Position]) -> Counts:
    width, height = sequence.size
    zones = {
        line.name: supervision.LineZone(
            *(supervision.Point(x * width, y * height) for x, y in line.points), triggering_anchors=anchors
        )
        for line in LINES
    }
    for faces in tracks:
        detections = faces.to_supervision()
        for zone in zones.values():
            zone.trigger(detections)
    return Tally({(name, way): getattr(zone, f"{way}_count") for name, zone in zones.items() for way in ("in", "out")})


def difference(counts: Counts, truth: Counts) -> int:
    return sum(abs(counts[key] - truth[key]) for key in {*counts, *truth})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sequences", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--tracker", choices=("faces", "sort"), default="faces")
    parser.add_argument("--no-links", action="store_true", help="take each track for a person")
    parser.add_argument("--margin", type=float, default=0.15, help="of the counts with tracks, see Counter")
    parser.add_argument("--frames", type=int, default=2, help="likewise")
    args = parser.parse_args()
    make: Callable[[], SortTracker | FaceTracker] = FaceTracker if args.tracker == "faces" else SortTracker
    settings = {"margin": args.margin, "frames": args.frames}
    print(f"{'':16}{'':14}{'ours':>15}{'middle':>15}{'corners':>15}{'visits':>14}")
    print(f"{'':16}{'people':>7}{'tracks':>7}{3 * '   true   error'}{'true':>8}{'ours':>6}")
    wrong, total, visited = [0, 0, 0], [0, 0, 0], [0, 0]
    for folder in args.sequences:
        sequence = MotFolder(folder)
        truth = ours(sequence, sequence.true_tracks(), margin=0.1, frames=1, linker=PersonLinker(0))
        found = ours(sequence, sequence.tracks(make()), linker=PersonLinker(0 if args.no_links else 2), **settings)
        differences, sums = [difference(found[0], truth[0])], [truth[0].total()]
        for anchors in (MIDDLE, CORNERS):
            own = theirs(sequence, sequence.true_tracks(), anchors)
            differences.append(difference(theirs(sequence, sequence.tracks(make()), anchors), own))
            sums.append(own.total())
        people, tracks = (_people(way) for way in (sequence.true_tracks(), sequence.tracks(make())))
        print(f"{folder.name:16}{people:7}{tracks:7}{_cells(differences, sums)}{truth[1]:8}{found[1]:6}")
        wrong = [w + d for w, d in zip(wrong, differences, strict=True)]
        total = [t + s for t, s in zip(total, sums, strict=True)]
        visited = [visited[0] + truth[1], visited[1] + found[1]]
    print(f"{'all':16}{'':14}{_cells(wrong, total)}{visited[0]:8}{visited[1]:6}")


def _people(tracks: Iterator[Faces]) -> int:
    return len({number for faces in tracks for number in np.asarray(faces.track_id).tolist() if number >= 0})


def _cells(differences: Sequence[int], sums: Sequence[int]) -> str:
    errors = [f"{100 * d / s:.0f} %" if s else f"{d} of 0" for d, s in zip(differences, sums, strict=True)]
    return "".join(f"{true:7}{error:>8}" for true, error in zip(sums, errors, strict=True))


if __name__ == "__main__":
    main()
