"""Print the mean CPU time of each step of preprocessing a picture, in one thread.

uv run python scripts/time_preprocess_steps.py fairface FOLDER --limit 800
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from agegender_core import Aligner, Faces, HogDetector, decode_image
from agegender_train.datasets import Sample, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.store import encode_chip

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("source", type=Path)
    parser.add_argument("--limit", type=int, default=800)
    options = parser.parse_args()
    files = FileTree.open(options.source)
    samples = (sample for sample in get_dataset(options.dataset).samples(files) if isinstance(sample, Sample))
    contents = [files.read(sample.file) for sample in islice(samples, options.limit)]
    detector, aligner = HogDetector(), Aligner(140, 0.4)
    spent: Counter[str] = Counter()

    def timed(step: str, work: Callable[[], T]) -> T:
        begin = time.thread_time()
        result = work()
        spent[step] += time.thread_time() - begin
        return result

    found = 0
    for data in contents:
        frame = timed("decode", lambda data=data: decode_image(data))
        faces = timed("HOG", lambda frame=frame: detector(frame, Faces.empty()))[:1]
        if not len(faces):
            continue
        found += 1
        faces = timed("landmarks and chip", lambda frame=frame, faces=faces: aligner(frame, faces))
        chip = np.asarray(faces.chips)[0]
        timed("encode the chip", lambda chip=chip: encode_chip(chip))
        timed("perceptual hash", lambda chip=chip: perceptual_hash(chip))
    print(f"{len(contents)} pictures, {found} with a face\n\n| step | milliseconds a time |\n|---|---|")
    for step, seconds in spent.items():
        print(f"| {step} | {1000 * seconds / (len(contents) if step in ('decode', 'HOG') else found):.3f} |")


if __name__ == "__main__":
    main()
