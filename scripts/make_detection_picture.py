"""Make the picture of the documentation that shows what is found, and how sure the answers are.

    uv run python scripts/make_detection_picture.py docs/images/detection.jpg

One portrait, samples/astronaut.jpg, in several sizes, leaning, blurred and cut off.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from agegender_core import Frame, Pipeline, draw_faces, read_image, write_image

PORTRAIT = Path(__file__).resolve().parents[1] / "samples/astronaut.jpg"
FACE_CENTRE, FACE_SIDE = (223.0, 122.0), 95.0
# Side of the face in pixels, degrees that it leans, blur in pixels.
ROWS = (
    ((120, 0, 0), (120, 25, 0), (120, 45, 0), (120, -40, 0)),
    ((80, 0, 0), (64, 0, 0), (48, 0, 0), (32, 0, 0), (24, 0, 0), (16, 0, 0), (12, 0, 0)),
    ((100, 0, 2), (100, 0, 4), (100, 0, 6), (100, 0, 9)),
)
WIDTH, MARGIN = 1000, 6


def tile(portrait: Frame, width: int, height: int, side: float, lean: float, blur: float) -> Frame:
    turn = cv2.getRotationMatrix2D(FACE_CENTRE, -lean, side / FACE_SIDE)
    turn[:, 2] += np.array([width / 2, height / 2]) - FACE_CENTRE
    # Averaged down in steps, as a camera would see it.
    while side < FACE_SIDE / 2:
        portrait = np.asarray(cv2.pyrDown(portrait), np.uint8)
        turn[:, :2] *= 2
        side *= 2
    made = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), blur) if blur else made, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    portrait = read_image(PORTRAIT)
    rows = []
    for cells in ROWS:
        height = round(max(side for side, _, _ in cells) * 2.1)
        width = (WIDTH - MARGIN * (len(cells) - 1)) // len(cells)
        tiles = [tile(portrait, width, height, *cell) for cell in cells]
        row = np.full((height, WIDTH, 3), 255, np.uint8)
        for number, one in enumerate(tiles):
            left = number * (width + MARGIN)
            row[:, left : left + width] = one
        rows += [row, np.full((MARGIN, WIDTH, 3), 255, np.uint8)]
    picture = np.vstack(rows[:-1])
    faces = Pipeline.for_pictures(min_face=8)(picture)
    for face, quality in zip(faces.xyxy, faces.quality if faces.quality is not None else [], strict=True):
        print(f"{face[2] - face[0]:4.0f} pixels at {face[0]:4.0f}, {face[1]:4.0f}: quality {quality:.2f}")
    write_image(args.output, draw_faces(picture, faces))


if __name__ == "__main__":
    main()
