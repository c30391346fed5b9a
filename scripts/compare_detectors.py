r"""Print in how many pictures of a dataset each detector finds a face, and in how many the gender is then right.

    uv run python scripts/compare_detectors.py fairface train-1.zip train-2.zip fairface_label_train.csv \
        --kept-out-of stores/fairface

Every picture shows the one person whom its label means: of several faces the one nearest to the middle counts. With
--kept-out-of, the pictures are those of a store that a training with --validation and --seed keeps out; without it, a
random sample. They are the same for each detector; "of all" counts a picture without a face as wrong.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from agegender_core import Faces, Pipeline, decode_image
from agegender_core.detect import DETECTORS
from agegender_train.batches.face_set import FaceSet, hold_out
from agegender_train.datasets import Sample, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.store import Store


def middle_face(faces: Faces, width: int, height: int) -> Faces:
    away = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2 - np.array([width, height]) / 2
    return faces[[int(np.square(away).sum(axis=1).argmin())]]


def kept_out_files(path: Path, validation: float, seed: int) -> set[str]:
    store = Store.open(path)
    rows = hold_out(FaceSet([store], cache_bytes=0).identities(), validation, seed)
    return set(store.columns("key").column("key").take(rows.nonzero()[0]).to_pylist())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--kept-out-of", type=Path, metavar="STORE")
    parser.add_argument("--validation", type=float, default=0.05)
    parser.add_argument("--detector", action="append", choices=list(DETECTORS))
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--model")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    files = FileTree.open(*args.sources)
    samples = [entry for entry in get_dataset(args.dataset).entries(files) if isinstance(entry, Sample)]
    there = set(files.names)
    samples = [sample for sample in samples if sample.file in there]
    if args.kept_out_of is not None:
        kept_out = kept_out_files(args.kept_out_of, args.validation, args.seed)
        samples = [sample for sample in samples if sample.key in kept_out]
        chosen = np.arange(len(samples))
    else:
        chosen = np.random.default_rng(args.seed).permutation(len(samples))[: args.pictures]
    pipelines = {
        name: Pipeline.for_pictures(args.model, detector=name, threshold=args.threshold)
        for name in args.detector or DETECTORS
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in pipelines}
    found, genders, groups, faces_found = (dict.fromkeys(pipelines, 0) for _ in range(4))
    labelled = {"gender": 0, "age": 0}
    for row in sorted(chosen):
        sample = samples[row]
        frame = decode_image(files.read(sample.file), sample.file)
        height, width = frame.shape[:2]
        labelled["gender"] += sample.gender is not None
        labelled["age"] += sample.age_low is not None
        for name, pipeline in pipelines.items():
            detect, *rest = pipeline.stages
            start = time.perf_counter()
            faces = detect(frame, Faces.empty())
            milliseconds[name].append(1e3 * (time.perf_counter() - start))
            faces_found[name] += len(faces)
            if len(faces) == 0:
                continue
            found[name] += 1
            face = middle_face(faces, width, height)
            for stage in rest:
                face = stage(frame, face)
            assert face.age is not None
            assert face.p_male is not None
            if sample.gender is not None:
                genders[name] += int(face.p_male[0] >= 0.5) == sample.gender
            if sample.age_low is not None and sample.age_high is not None:
                groups[name] += sample.age_low <= round(float(face.age[0])) <= sample.age_high
    count = len(chosen)
    print(f"{args.dataset}, {count} of {len(samples)} pictures")
    print(f"{'detector':10}{'found':>9}{'faces':>8}{'gender of all':>16}{'of found':>10}{'age of all':>12}{'ms':>8}")
    for name in pipelines:
        gender, age = genders[name] / max(labelled["gender"], 1), groups[name] / max(labelled["age"], 1)
        of_found = genders[name] / max(found[name], 1)
        middle = float(np.median(milliseconds[name]))
        shares = f"{found[name] / count:9.1%}{faces_found[name]:8}{gender:16.1%}{of_found:10.1%}{age:12.1%}"
        print(f"{name:10}{shares}{middle:8.1f}")


if __name__ == "__main__":
    main()
