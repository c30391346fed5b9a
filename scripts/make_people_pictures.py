"""Make the pictures of the documentation that show what is found in a group and in a crowd.

    uv run python scripts/make_people_pictures.py docs/images

Writes group.jpg and crowd.jpg, of samples/mariachi.webp and samples/orchestra.webp.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import agegender as ag

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for sample, name, min_face in (("mariachi.webp", "group.jpg", None), ("orchestra.webp", "crowd.jpg", 10)):
        faces = ag.analyze(SAMPLES / sample, min_face=min_face)
        faces.annotate().save(folder / name)
        sides = sorted(round(face.box[2] - face.box[0]) for face in faces)
        print(f"{sample}: {len(faces)} faces of {sides[0]} to {sides[-1]} pixels")


if __name__ == "__main__":
    main()
