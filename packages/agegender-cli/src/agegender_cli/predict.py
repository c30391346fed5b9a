"""``agegender predict``: ages and genders of the faces in pictures."""

from __future__ import annotations

import csv
import glob
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .options import Flip, Model, Quiet, RowFormat, RowFormatOption, Threshold, Upsample, output
from .output import message, print_json
from .progress import progress_bars

if TYPE_CHECKING:
    from agegender_core.pipeline import Pipeline

_COLUMNS = ("source", "error", "width", "height", "left", "top", "right", "bottom", "score")
# New columns go to the end: readers may count them.
_FACE = ("age", "age_std", "gender", "p_male")
_INTERVAL = ("age_interval_low", "age_interval_high")

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp", ".avif"}


def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Pictures, folders, or globs in quotes.")],
    format_: RowFormatOption = RowFormat.TABLE,
    output: Annotated[Path | None, output("FOLDER", "Also write the pictures with the faces drawn in.")] = None,
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
        message(f"Skipped {len(skipped)} that are no pictures: {_shorten(skipped)}")
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
    failed = _write(rows, format_)
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
    with progress_bars(quiet or len(sources) < 5) as new_bar:
        bar = new_bar("Pictures", len(sources), "pictures")
        for number, source in enumerate(sources):
            yield source
            bar.update(number + 1, len(sources))


def _write(rows: Iterable[dict[str, Any]], format_: RowFormat) -> int:
    """Writes a row for each picture as it comes (JSON and tables: at the end). Returns how many could not be read."""
    failed = 0
    if format_ in (RowFormat.JSON, RowFormat.TABLE):
        pictures = list(rows)
        failed = sum(row["error"] is not None for row in pictures)
        if format_ is RowFormat.JSON:
            print_json(pictures)
        else:
            _write_table(pictures)
        return failed
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if format_ is RowFormat.CSV:
        writer.writerow([*_COLUMNS, *_FACE, *_INTERVAL])
    for row in rows:
        failed += row["error"] is not None
        if format_ is RowFormat.JSONL:
            print(json.dumps(row, ensure_ascii=False), flush=True)
            continue
        start = [row["source"], row["error"] or "", row["width"], row["height"]]
        if not row["faces"]:
            writer.writerow(start)
        for face in row["faces"]:
            interval = face["age_interval"] or ("", "")
            writer.writerow([*start, *face["box"], face["score"], *(face[name] for name in _FACE), *interval])
    return failed


def _age_text(face: dict[str, Any]) -> str:
    """The age and its error, as far as they are known."""
    if face["age"] is None:
        return "-"
    age = f"{math.floor(face['age'] + 0.5)}"
    return age if face["age_std"] is None else f"{age} ± {face['age_std']:.0f}"


def _gender_text(face: dict[str, Any]) -> str:
    if face["p_male"] is None:
        return "-"
    return f"{face['gender']} {max(face['p_male'], 1 - face['p_male']):.0%}"


def _write_table(pictures: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="fold")
    # A model file without a calibrated interval gives none, and then there is no column for it.
    bounded = any(face["age_interval"] is not None for row in pictures for face in row["faces"])
    for title in ("face", "age", *(["90 %"] if bounded else []), "gender"):
        table.add_column(title, justify="right" if title == "age" else "left", no_wrap=title != "face")
    for row in pictures:
        name = Text(row["source"])
        if row["error"] is not None:
            table.add_row(name, Text(row["error"], style="red"))
        elif not row["faces"]:
            table.add_row(name, Text("no face found", style="dim"))
        for number, face in enumerate(row["faces"]):
            left, top, right, bottom = face["box"]
            table.add_row(
                name if number == 0 else Text(),
                f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}",
                _age_text(face),
                *(["{:.0f}-{:.0f}".format(*face["age_interval"])] if bounded else []),
                _gender_text(face),
            )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to wrap at
    console.print(table)
