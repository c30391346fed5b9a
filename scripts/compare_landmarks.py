"""Print how far the shipped 5-landmark model and dlib's own are apart, in parts of the distance between the eyes.

    uv run --group landmarks python scripts/compare_landmarks.py FOLDER_OR_TAR...

Point it at pictures that scripts/train_landmark_model.py did not learn from.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np
from train_landmark_model import dlib_five_points

SHIPPED = Path(__file__).resolve().parents[1] / "packages/agegender-core/src/agegender_core/models/landmarks5.dat"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(source: Path) -> Iterator[np.ndarray]:
    """Every picture below a folder or in a tar, as uint8 RGB."""
    for raw in _files(source):
        bgr = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        if bgr is not None:
            yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _files(source: Path) -> Iterator[bytes]:
    if source.is_dir():
        yield from (path.read_bytes() for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES)
        return
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                yield archive.extractfile(member).read()


def points(predictor, picture, rectangle) -> np.ndarray:
    return np.array([(p.x, p.y) for p in predictor(picture, rectangle).parts()], float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    args = parser.parse_args()
    detector = dlib.get_frontal_face_detector()
    theirs, ours = dlib.shape_predictor(str(dlib_five_points())), dlib.shape_predictor(str(args.model))
    for source in args.sources:
        errors, turns = [], []
        for picture in pictures(source):
            for rectangle in detector(picture, 0):
                a, b = points(theirs, picture, rectangle), points(ours, picture, rectangle)
                eyes = a[[0, 1]].mean(0) - a[[2, 3]].mean(0)
                ours_eyes = b[[0, 1]].mean(0) - b[[2, 3]].mean(0)
                errors.append(np.linalg.norm(a - b, axis=1).mean() / np.linalg.norm(eyes))
                turns.append(abs(np.degrees(np.arctan2(*eyes) - np.arctan2(*ours_eyes))))
        print(
            f"{source.name}: n = {len(errors)} faces, mean error / eye distance {np.mean(errors):.4f}, "
            f"median {np.median(errors):.4f}, 95 % {np.percentile(errors, 95):.4f}; "
            f"mean turn between the two {np.mean(turns):.2f} degrees"
        )


if __name__ == "__main__":
    main()
