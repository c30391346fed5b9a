"""Make the picture of the documentation that shows what becomes of a video: four frames with their faces drawn in.

uv run python scripts/make_stream_picture.py docs/images/stream.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from agegender_core import Pipeline, draw_faces, open_source, write_image

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.mp4"
FRAMES = (5, 30, 55, 85)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    with open_source(str(SAMPLE)) as source:
        results = [result for result in Pipeline.for_video().run(source) if result.index in FRAMES]
    drawn = [cv2.resize(draw_faces(one.image, one.faces), None, fx=0.7, fy=0.7, interpolation=3) for one in results]
    write_image(picture, np.vstack([np.hstack(drawn[:2]), np.hstack(drawn[2:])]).astype(np.uint8))
    for one in results:
        print(f"frame {one.index}: {one.faces}")


if __name__ == "__main__":
    main()
