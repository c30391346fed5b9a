"""Pictures for tables: some with a face, some without, some that can't be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from agegender_core.images import read_image, write_image


def write_pictures(folder: Path, count: int, astronaut_path: Path) -> list[str]:
    """Writes 000.png, 001.png and so on, by turns a face, a picture without one, and no picture; gives their names."""
    names = [f"{number:03}.png" for number in range(count)]
    write_image(folder / names[0], np.ascontiguousarray(read_image(astronaut_path)[40:220:2, 140:320:2]))
    write_image(folder / names[1], np.full((60, 80, 3), 200, np.uint8))
    (folder / names[2]).write_bytes(b"no picture")
    for number in range(3, count):
        os.link(folder / names[number % 3], folder / names[number])
    return names
