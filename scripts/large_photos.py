"""Make 12-megapixel photos for scripts/compare_preprocess.py, which imports this: faces pasted on backgrounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from agegender_core import Faces, HogDetector, decode_image, iou, read_image
from agegender_train.datasets import Dataset, Sample, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import Rejection, is_picture

WIDTH, HEIGHT = 4000, 3000
FACE_SIDES = (100, 1500)
"""Pixels; the sides are spread evenly over the logarithm."""


class LargePhotos(Dataset):
    """The photos that `make_large_photos` has made; `preprocess` doesn't get the places of their faces."""

    name: ClassVar[str] = "large-photos"
    title: ClassVar[str] = "Faces pasted on backgrounds of 12 megapixels"
    licence: ClassVar[str] = "that of the faces"
    url: ClassVar[str] = ""
    layout: ClassVar[str] = "JPEG files"

    def __init__(self, faces: Mapping[str, tuple[float, ...]]) -> None:
        self.faces = faces

    def samples(self, files: FileTree) -> Iterable[Sample | Rejection]:
        return [Sample(name, 30, 30, 1) for name in files.names]

    def count_right(self, boxes: Mapping[str, Sequence[float]]) -> int:
        """How many of `boxes` (pixels, by key) have an IoU of at least 0.4 with the pasted face."""
        return sum(len(box) == 4 and iou([box], [self.faces[key]])[0, 0] >= 0.4 for key, box in boxes.items())


def make_large_photos(out: Path, faces: Path, backgrounds: Path, count: int, seed: int = 1) -> LargePhotos:
    """Makes `count` JPEGs in the folder `out`.

    Args:
        out: the folder; it is made.
        faces: UTKFace's archive of chips; those in which HOG finds exactly one face are taken.
        backgrounds: a folder of photos. They are turned upside down, those with a face even so are left out.
        count: number of photos.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    out.mkdir(parents=True)
    views = list(_faceless(path for path in sorted(backgrounds.rglob("*")) if is_picture(path.name)))
    chips = _chips_with_one_face(faces, rng)
    boxes: dict[str, tuple[float, ...]] = {}
    low, high = np.log(FACE_SIDES)
    for number in range(count):
        chip, box = next(chips)
        scale = np.exp(rng.uniform(low, high)) / (box[2] - box[0])
        photo = cv2.resize(views[rng.integers(len(views))], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        side = min(round(200 * scale), HEIGHT)
        x, y = int(rng.integers(WIDTH - side + 1)), int(rng.integers(HEIGHT - side + 1))
        _paste(photo[y : y + side, x : x + side], cv2.resize(chip, (side, side), interpolation=cv2.INTER_CUBIC))
        noise = cv2.randn(np.empty((HEIGHT, WIDTH, 3), np.int16), 0, 4)
        photo = cv2.add(photo, noise, dtype=cv2.CV_8U)
        name = f"{number:04}.jpg"
        cv2.imwrite(str(out / name), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        boxes[name] = tuple(float(edge) * side / 200 + offset for edge, offset in zip(box, (x, y, x, y), strict=True))
    return LargePhotos(boxes)


def _faceless(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    detector = HogDetector()
    for path in paths:
        view = read_image(path)[::-1]
        sizes = [(WIDTH // part, HEIGHT // part) for part in (1, 2, 4, 8)]
        if not any(len(detector(cv2.resize(view, size), Faces.empty())) for size in sizes):
            yield view


def _chips_with_one_face(path: Path, rng: np.random.Generator) -> Any:
    files, detector = FileTree.open(path), HogDetector()
    samples = [sample for sample in get_dataset("utkface").samples(files) if isinstance(sample, Sample)]
    while True:
        chip = decode_image(files.read(samples[rng.integers(len(samples))].file))
        found = detector(chip, Faces.empty())
        if chip.shape == (200, 200, 3) and len(found) == 1:
            yield chip, found.xyxy[0].tolist()


def _paste(place: np.ndarray, picture: np.ndarray) -> None:
    """With soft edges, so that the border isn't a line that no photo has."""
    ramp = np.clip(np.minimum(np.arange(len(place)), np.arange(len(place))[::-1]) / (0.1 * len(place)), 0, 1)
    weight = np.minimum.outer(ramp, ramp)[..., None].astype(np.float32)
    place[:] = np.round(weight * picture + (1 - weight) * place)
