"""Make a small dataset in UTKFace's form from samples/astronaut.jpg: for pictures in the docs and for browser tests.

    python scripts/make_demo_faces.py OUT [--n 60] [--seed 1]

The labels are made up. The older the label, the greyer the picture; men's are wider. Beside `--n` good pictures there
are one or two of each fault that a reader must handle: copies, conflicting labels, no face, broken files, misspelt
names. The same arguments and versions give the same bytes. Needs only OpenCV and NumPy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

PORTRAIT = Path(__file__).resolve().parents[1] / "samples/astronaut.jpg"
# Pixels of the portrait.
FACE_CENTRE, FACE_SIDE = (223.0, 122.0), 100.0
Picture = npt.NDArray[np.uint8]


def view(portrait: Picture, rng: np.random.Generator, *, wide: float) -> Picture:
    """The face at a random size and tilt, somewhere near the middle, now and then mirrored; `wide` stretches it."""
    size = int(rng.integers(240, 420))
    scale = size * rng.uniform(0.38, 0.55) / FACE_SIDE
    tilt = np.deg2rad(rng.normal(0, 9))
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    matrix = turn @ np.diag([scale * wide * rng.choice([-1, 1], p=[0.4, 0.6]), scale])
    target = size * (0.5 + rng.uniform(-0.06, 0.06, 2))
    offset = target - matrix @ np.array(FACE_CENTRE)
    return np.asarray(
        cv2.warpAffine(
            portrait,
            np.column_stack([matrix, offset]),
            (size, size),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )


def relight(picture: Picture, rng: np.random.Generator, *, grey: float) -> Picture:
    """Another light, camera and colour; `grey` (0..1) is how far it goes towards black and white."""
    light = picture.astype(np.float32) / 255
    light = light ** np.float32(rng.uniform(0.7, 1.5)) * rng.uniform(0.85, 1.1)
    light = light * rng.uniform(0.88, 1.12, 3)
    ramp = np.linspace(-1, 1, light.shape[1], dtype=np.float32)
    light = light * (1 + rng.uniform(-0.35, 0.35) * ramp)[None, :, None]
    light += grey * (light.mean(axis=2, keepdims=True) - light)
    if rng.random() < 0.25:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(1, 2.2))
    if rng.random() < 0.35:
        light = light + rng.normal(0, rng.uniform(0.01, 0.04), light.shape)
    return np.asarray(np.clip(light * 255, 0, 255), np.uint8)


def encode(picture: Picture) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def name(age: object, gender: object, group: object, number: int) -> str:
    return f"{age}_{gender}_{group}_20170116{number:09d}.jpg"


def faces(n: int, rng: np.random.Generator) -> dict[str, bytes]:
    portrait = cv2.imread(str(PORTRAIT))
    found = {}
    for number in range(n):
        age = int(np.clip(rng.gamma(3.2, 10.5), 1, 95))
        gender, group = int(rng.integers(0, 2)), int(rng.choice(5, p=[0.4, 0.2, 0.15, 0.15, 0.1]))
        wide = rng.uniform(1.0, 1.18) if gender == 0 else rng.uniform(0.84, 1.0)
        picture = relight(view(portrait, rng, wide=wide), rng, grey=np.clip((age - 25) / 55, 0, 1))
        found[name(age, gender, group, number)] = encode(picture)
    return found


def trouble(good: dict[str, bytes], rng: np.random.Generator) -> dict[str, bytes]:
    """Files to be rejected, or kept with an incomplete label; their numbers start at 900000."""
    kept = list(good.items())
    copy, copied = kept[len(kept) // 3]
    age, gender, group, _ = copy.split("_")
    sky = cv2.GaussianBlur(rng.uniform(0, 255, (240, 240, 3)), (0, 0), 25)
    sky = np.asarray(cv2.normalize(sky, None, 60, 220, cv2.NORM_MINMAX), np.uint8)
    contradicted = kept[len(kept) // 2][1]
    return {
        name(age, gender, group, 900001): copied,
        name(7, 1, 0, 900002): contradicted,
        name(24, 0, 1, 900003): encode(sky),
        name(31, 1, 2, 900004): encode(255 - sky),
        name(12, 0, 3, 900005): kept[0][1][:900],
        name(50, 1, 0, 900006): b"",
        name(45, 0, 0, 900007): b"no picture at all",
        name(116, 1, 0, 900008): encode(cv2.flip(cv2.imread(str(PORTRAIT)), 1)),
        name(39, 3, 1, 900009): encode(relight(cv2.imread(str(PORTRAIT)), rng, grey=0.2)),
        "family portrait.jpg": encode(cv2.imread(str(PORTRAIT))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures; it is made")
    parser.add_argument("--n", type=int, default=60, help="good pictures, at least 3")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.n < 3:
        parser.error(f"--n must be at least 3, got {arguments.n}")
    rng = np.random.default_rng(arguments.seed)
    good = faces(arguments.n, rng)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for file, content in {**good, **trouble(good, rng)}.items():
        (arguments.out / file).write_bytes(content)


if __name__ == "__main__":
    main()
