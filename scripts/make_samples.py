"""Make samples/astronaut.jpg and samples/astronaut.mp4 from scikit-image's public-domain portrait of Eileen Collins.

    python scripts/make_samples.py [--folder samples]

Needs scikit-image and agegender-core. The same versions give the same bytes.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from agegender_core import VideoSink
from agegender_core.faces import Frame

# `agegender benchmark` has a picture at hand wherever the package is installed.
PACKAGED = Path(__file__).resolve().parents[1] / "packages/agegender-core/src/agegender_core/samples/astronaut.jpg"
FPS, FRAMES = 25, 90
SIZE = (640, 360)
# Where the camera looks, in pixels of the portrait: centre x, centre y, width of the view.
VIEWS = [(256.0, 150.0, 500.0), (235.0, 135.0, 300.0), (300.0, 140.0, 380.0), (256.0, 150.0, 500.0)]


def view(portrait: Frame, x: float, y: float, width: float) -> Frame:
    """The part of the portrait around (x, y), `width` pixels wide, enlarged to SIZE."""
    scale = SIZE[0] / width
    matrix = np.array([[scale, 0, SIZE[0] / 2 - scale * x], [0, scale, SIZE[1] / 2 - scale * y]])
    return np.asarray(cv2.warpAffine(portrait, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def camera(part: float) -> tuple[float, float, float]:
    """The view at `part` (0..1) of the clip: from one of VIEWS to the next, starting and stopping gently."""
    step = min(int(part * (len(VIEWS) - 1)), len(VIEWS) - 2)
    along = part * (len(VIEWS) - 1) - step
    eased = (1 - math.cos(math.pi * along)) / 2
    x, y, width = (a + (b - a) * eased for a, b in zip(VIEWS[step], VIEWS[step + 1], strict=True))
    return x, y, width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1] / "samples")
    folder = parser.parse_args().folder
    folder.mkdir(exist_ok=True)
    portrait = np.ascontiguousarray(data.astronaut())
    # Without its lowest part, where the detector takes a fold of the suit, once compressed, for a face.
    bust = cv2.cvtColor(portrait[:400], cv2.COLOR_RGB2BGR)
    for path in (folder / "astronaut.jpg", PACKAGED):
        cv2.imwrite(str(path), bust, [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    with VideoSink(folder / "astronaut.mp4", FPS, SIZE) as sink:
        for index in range(FRAMES):
            sink.write(view(portrait, *camera(index / (FRAMES - 1))), index / FPS)


if __name__ == "__main__":
    main()
