"""Where the drawn pictures go: never onto a picture of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UserError
from .pictures import identity

if TYPE_CHECKING:
    from agegender_core.many.listing import Item

COMMENT = "drawn by agegender"
"""What our drawings say in their headers: only such are replaced by later ones."""


def drawing_targets(pictures: Sequence[Item], output: Path) -> dict[str, Path]:
    """The file for the drawing of each picture, by the picture's name.

    Args:
        pictures: what is to be drawn.
        output: a folder or, of one picture, a file.

    Raises:
        UserError: a file would be replaced that is no drawing, or `output` doesn't fit.
    """
    from agegender_core.images import has_picture_suffix

    one_file = not output.is_dir() and has_picture_suffix(output)
    if one_file:
        targets = {picture.name: output for picture in pictures}
        _check_file(pictures, output)
    elif output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file", hint="Name a folder or, for one picture, out.jpg.")
    else:
        targets = _names(pictures, output)
    sources = {identity(picture.path): picture for picture in pictures if picture.path is not None}
    for target in targets.values():
        if (there := identity(target)) is None:
            continue
        if there in sources:
            raise UserError(
                f"--output {output} would replace the picture {sources[there].name}",
                hint="Name another file." if one_file else "Choose another folder.",
            )
        if not one_file and not _is_drawing(target):
            raise UserError(
                f"--output {output} would replace {target}, which is no drawing of agegender's",
                hint="Choose another folder.",
            )
    return targets


def _check_file(pictures: Sequence[Item], output: Path) -> None:
    import cv2

    if len(pictures) != 1:
        raise UserError(
            f"--output {output} is one picture, and there are {len(pictures)} to draw", hint="Name a folder."
        )
    if not cv2.haveImageWriter(f"x{output.suffix.lower()}"):
        raise UserError(f"--output {output}: {output.suffix} can't be written", hint="Use .jpg or .png.")


def _names(pictures: Sequence[Item], folder: Path) -> dict[str, Path]:
    """Sources of the same name in different folders get a number."""
    targets: dict[str, Path] = {}
    taken: set[str] = set()
    for picture in pictures:
        name, number = f"{picture.stem}.jpg", 2
        while name.lower() in taken:
            name, number = f"{picture.stem}-{number}.jpg", number + 1
        taken.add(name.lower())
        targets[picture.name] = folder / name
    return targets


def _is_drawing(path: Path) -> bool:
    from agegender_core.images import read_comment

    try:
        return read_comment(path) == COMMENT
    except OSError:
        return False
