"""Print the table of docs/preprocess-speed.md: `preprocess` against a plain pipeline with the same output.

    uv run python scripts/compare_preprocess.py fairface FOLDER --limit 4000
    uv run python scripts/compare_preprocess.py large-photos UTKFACE_TAR --backgrounds FOLDER --limit 60

The plain pipeline is a `multiprocessing.Pool` of dlib-bin (`get_frontal_face_detector` on RGB, our landmark model as
its `shape_predictor`, `get_face_chip`) with OpenCV's `imdecode` and `imwrite`. Both take turns in one run, so that a
busy machine slows both. Beside them stand two floors: decoding alone, and detection alone. "large-photos" makes
12-megapixel JPEGs by pasting faces of the source on backgrounds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import dlib
import numpy as np
from large_photos import LargePhotos, make_large_photos

from agegender_core import Faces, HogDetector, decode_image
from agegender_core.align import LANDMARKS_PATH
from agegender_train.datasets import Dataset, Sample, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing import preprocess
from agegender_train.preprocessing.pictures import NO_FACE, TOO_SMALL, UNREADABLE
from agegender_train.preprocessing.search import choose_faces
from agegender_train.store import Store, decode_chip, encode_chip

SIZE, PADDING = 140, 0.4
FLOORS = ("decode alone", "HOG on whole pictures alone")
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


class PlainResult(NamedTuple):
    """`how` is "detected", "known" or "" for no face; the box is in pixels."""

    key: str
    how: str
    box: tuple[float, ...]


class Plain:
    """The plain pipeline, in one process of the pool."""

    instance: Plain

    def __init__(self, paths: Sequence[Path], out: Path) -> None:
        self.files, self.out = FileTree.open(*paths), out
        self.detector = dlib.get_frontal_face_detector()
        self.landmarks = dlib.shape_predictor(str(LANDMARKS_PATH))

    def process(self, sample: Sample, name: str) -> PlainResult:
        bgr = cv2.imdecode(np.frombuffer(self.files.read(sample.file), np.uint8), cv2.IMREAD_COLOR)
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        size = rgb.shape[1], rgb.shape[0]
        boxes = [[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in self.detector(rgb, 0)]
        known = known_box(sample, *size)
        chosen, how = choose_faces(as_faces(boxes), known, size, "largest"), "detected"
        if not len(chosen) and known is not None:
            chosen, how = known, "known"
        if not len(chosen):
            return PlainResult(sample.key, "", ())
        cv2.imwrite(
            str(self.out / f"{name}.jpg"), cv2.cvtColor(self.chip(rgb, chosen.xyxy[0]), cv2.COLOR_RGB2BGR), JPEG
        )
        return PlainResult(sample.key, how, tuple(chosen.xyxy[0].tolist()))

    def chip(self, rgb: Any, box: Any) -> Any:
        left, top, right, bottom = (round(float(edge)) for edge in box)
        rectangle = dlib.rectangle(left, top, right - 1, bottom - 1)
        return dlib.get_face_chip(rgb, self.landmarks(rgb, rectangle), SIZE, PADDING)


def start(paths: Sequence[Path], out: Path) -> None:
    Plain.instance = Plain(paths, out)


def process(job: tuple[int, Sample]) -> PlainResult:
    return Plain.instance.process(job[1], f"{job[0]:06}")


def as_faces(boxes: Sequence[Sequence[float]]) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.float32))


def known_box(sample: Sample, width: int, height: int) -> Faces | None:
    if sample.known_xyxy is not None:
        return as_faces([sample.known_xyxy])
    if sample.known_box is not None:
        return as_faces([[part * side for part, side in zip(sample.known_box, (width, height) * 2, strict=True)]])
    return None


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def floors(samples: Sequence[Sample], files: FileTree, workers: int) -> Iterator[tuple[str, float]]:
    """Pictures a second of decoding alone, and of full-size detection alone, on as many threads."""
    detector, contents = HogDetector(), [files.read(sample.file) for sample in samples]

    def seconds_of_each(content: bytes) -> tuple[float, float]:
        begin = time.perf_counter()
        frame = decode_image(content)
        decoded = time.perf_counter()
        detector(frame, Faces.empty())
        return decoded - begin, time.perf_counter() - decoded

    with ThreadPoolExecutor(workers) as executor:
        for name, spent in zip(FLOORS, zip(*executor.map(seconds_of_each, contents), strict=True), strict=True):
            yield name, len(contents) * workers / sum(spent)


class Chips(NamedTuple):
    """How our chips are beside dlib's for the same rectangles: counts of `of` chips."""

    of: int
    equal: int
    within_bound: int


def compare_chips(store: Store, rows: Sequence[dict[str, Any]], by_key: dict[str, Sample], plain: Plain) -> Chips:
    """Both as JPEG and decoded again; the bound is 1 grey level at 99.9 % of the pixels."""
    equal = within = 0
    for row in rows:
        rgb = decode_image(plain.files.read(by_key[row["key"]].file))
        theirs = decode_chip(encode_chip(plain.chip(rgb, row["box"])))
        apart = np.abs(decode_chip(row["image"]["bytes"]).astype(int) - theirs)
        equal += int(apart.max() == 0)
        within += int((apart.max(axis=-1) <= 1).mean() >= 0.999)
    return Chips(len(rows), equal, within)


def read_rows(store: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for shard in sorted(store.glob("shard-*.parquet")) for row in pq.read_table(shard).to_pylist()]


def read_copies(store: Path) -> set[str]:
    """The pictures that `preprocess` didn't decode, because of their label or because they are copies."""
    import pyarrow.parquet as pq

    seen = {NO_FACE, TOO_SMALL, UNREADABLE}
    return {row["source"] for row in pq.read_table(store / "audit.parquet").to_pylist() if row["reason"] not in seen}


def compare(
    reader: Dataset, paths: Sequence[Path], limit: int | None, rounds: int, workers: int, scratch: Path
) -> None:
    files = FileTree.open(*paths)
    samples = [entry for entry in islice(reader.samples(files), limit) if isinstance(entry, Sample)]
    print(f"{reader.name}: {len(samples)} pictures, {workers} workers each, {rounds} rounds in turns")
    (scratch / "plain").mkdir()
    ours_s, plain_s = [], []
    with multiprocessing.get_context("spawn").Pool(workers, start, (paths, scratch / "plain")) as pool:
        chunk = max(1, min(50, len(samples) // (8 * workers)))
        list(pool.imap_unordered(process, enumerate(samples[:workers]), 1))  # the processes are up
        for turn in range(rounds):
            out = scratch / f"store-{turn}"
            audit, seconds = timed(
                # The plain pipeline doesn't look for near-duplicates.
                lambda out=out: preprocess(reader, paths, out, workers=workers, limit=limit, near_duplicates=None)
            )
            ours_s.append(seconds)
            plain, seconds = timed(lambda: list(pool.imap(process, enumerate(samples), chunk)))
            plain_s.append(seconds)
            print(f"  round {turn + 1}: ours {ours_s[-1]:.1f} s, plain {plain_s[-1]:.1f} s", flush=True)
    rows = read_rows(scratch / "store-0")
    copies = read_copies(scratch / "store-0")
    plain = [result for result in plain if result.key not in copies]
    report(samples, rows, plain, audit, (ours_s, plain_s), list(floors(samples[:400], files, workers)))
    boxes = {result.key: result.box for result in plain}
    same = sum(np.abs(np.subtract(row["box"], boxes[row["key"]])).max() < 0.5 for row in rows if boxes[row["key"]])
    by_key = {sample.key: sample for sample in samples}
    chips = compare_chips(Store.open(scratch / "store-0"), rows[:500], by_key, Plain(paths, scratch))
    print(f"the same rectangle as dlib: {same} of {len(rows)} faces")
    print(f"chips for the same rectangle: {chips.equal} of {chips.of} equal, {chips.within_bound} within the bound")
    if isinstance(reader, LargePhotos):
        for name, found in (("ours", {row["key"]: row["box"] for row in rows}), ("plain", boxes)):
            print(f"{name}: the pasted face in {reader.count_right(found)} of {len(samples)} pictures")


def report(
    samples: Sequence[Sample],
    rows: Sequence[dict[str, Any]],
    plain: Sequence[PlainResult],
    audit: dict[str, Any],
    seconds: tuple[list[float], list[float]],
    floor: Sequence[tuple[str, float]],
) -> None:
    ours, theirs = (len(samples) / statistics.median(each) for each in seconds)
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    detected = [sum(row["box_from"] == "detected" for row in rows), sum(result.how == "detected" for result in plain)]
    print(f"\nfaces in the {len(plain)} pictures that both decoded:")
    print("\n| | pictures/s | ratio | faces found | by known box |\n|---|---|---|---|---|")
    print(f"| `preprocess` | {ours:.1f} | | {detected[0]} | {len(rows) - detected[0]} |")
    known = sum(result.how == "known" for result in plain)
    print(f"| plain | {theirs:.1f} | {statistics.median(ratios):.2f} | {detected[1]} | {known} |")
    for name, rate in floor:
        print(f"| {name} | {rate:.1f} | | | |")
    print(f"\nratio of each round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; rejected: {audit['rejected']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a reader's name, or large-photos")
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, help="only so many pictures; large-photos: make so many (60)")
    parser.add_argument("--backgrounds", type=Path, help="large-photos: a folder of pictures to paste the faces on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compare-preprocess-") as folder:
        scratch, reader, paths = Path(folder), args.dataset, args.sources
        if reader == "large-photos":
            if args.backgrounds is None:
                parser.error("large-photos needs --backgrounds FOLDER")
            paths = [scratch / "photos"]
            reader = make_large_photos(paths[0], args.sources[0], args.backgrounds, args.limit or 60)
        reader = get_dataset(reader) if isinstance(reader, str) else reader
        compare(reader, paths, args.limit, args.rounds, args.workers, scratch)


if __name__ == "__main__":
    main()
