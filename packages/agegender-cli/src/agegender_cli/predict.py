"""``agegender predict``: ages and genders of the faces in pictures."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .options import Flip, Format, Model, Quiet, Threshold, Upsample
from .output import write_pictures

if TYPE_CHECKING:
    from agegender_core.pipeline import Pipeline

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp", ".avif"}


def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Pictures, folders, or globs in quotes.")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="How results are written.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Also write the pictures with faces drawn.")
    ] = None,
    model: Model = None,
    flip: Flip = None,
    upsample: Upsample = 0,
    threshold: Threshold = 0.0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 when a picture could not be read.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find the faces in pictures and estimate their ages and genders.

    A picture that cannot be read gives a row with the reason, and the others go on.

    \b
    Examples:
      agegender predict samples/astronaut.jpg
      agegender predict holiday/ --upsample 1 --output drawn/
      agegender predict 'scans/**/*.png' --format json > faces.json
    """
    from agegender_core.pipeline import Pipeline

    sources, skipped = _find(paths)
    if skipped and not quiet:
        typer.echo(f"Skipped {len(skipped)} that are no pictures: {_shorten(skipped)}", err=True)
    if not sources:
        raise UserError(f"no pictures in {', '.join(paths)}", hint=f"pictures end in {', '.join(sorted(SUFFIXES))}")
    pipeline = Pipeline.for_pictures(model, upsample=upsample, threshold=threshold, flip=flip)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    names = _drawn_names(sources) if output is not None else {}
    rows = (
        _row(source, pipeline, output / names[source] if output is not None else None)
        for source in _with_progress(sources, quiet)
    )
    failed = write_pictures(rows, format_)
    if failed and strict:
        raise typer.Exit(1)


def _row(source: Path, pipeline: Pipeline, drawing: Path | None) -> dict[str, Any]:
    from agegender_core.images import ImageError, read_image
    from agegender_core.records import face_records

    row: dict[str, Any] = {"source": str(source), "error": None, "width": None, "height": None, "faces": []}
    try:
        image = read_image(source)
    except ImageError as error:
        return {**row, "error": str(error).removeprefix(f"{source}: ")}
    except OSError as error:
        return {**row, "error": error.strerror or str(error)}
    faces = pipeline(image)
    if drawing is not None:
        from agegender_core.draw import draw_faces
        from agegender_core.images import write_image

        write_image(drawing, draw_faces(image, faces))
    return {**row, "width": image.shape[1], "height": image.shape[0], "faces": face_records(faces)}


def _find(paths: list[str]) -> tuple[list[Path], list[Path]]:
    """The pictures that `paths` name, each once and in order, and the files that were passed over."""
    found: dict[Path, None] = {}
    skipped: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            inside = sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)
            candidates = [file for file in inside if not file.name.startswith(".")]
        elif path.exists():
            found[path] = None
            continue
        else:
            candidates = [Path(match) for match in sorted(glob.glob(text, recursive=True)) if os.path.isfile(match)]
            if not candidates:
                raise UserError(f"{text}: there is no such file, folder or match")
        for file in candidates:
            if file.suffix.lower() in SUFFIXES:
                found[file] = None
            else:
                skipped.append(file)
    return list(found), skipped


def _drawn_names(sources: list[Path]) -> dict[Path, str]:
    """A name for each drawn picture; sources of the same name in different folders get a number."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for source in sources:
        name, number = f"{source.stem}.jpg", 2
        while name.lower() in taken:
            name, number = f"{source.stem}-{number}.jpg", number + 1
        taken.add(name.lower())
        names[source] = name
    return names


def _shorten(files: list[Path]) -> str:
    names = [file.name for file in files[:4]]
    return ", ".join(names) + (f" and {len(files) - 4} more" if len(files) > 4 else "")


def _with_progress(sources: list[Path], quiet: bool) -> Iterator[Path]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal or len(sources) < 5
    yield from track(sources, "Pictures", console=console, transient=True, disable=hidden)
