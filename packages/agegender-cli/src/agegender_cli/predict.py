"""``agegender predict``: ages and genders of the faces in pictures."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .drawings import COMMENT, drawing_targets
from .errors import UserError
from .options import (
    AnyRotation,
    Detector,
    DetectorName,
    Device,
    DeviceName,
    Flip,
    MinFace,
    MinQuality,
    Model,
    Quiet,
    RowFormat,
    RowFormatOption,
    Runtime,
    RuntimeName,
    Threshold,
    Upsample,
    output,
)
from .output import count, message
from .pictures import Found, find_pictures
from .predict_results import printed_into, results_format
from .predict_table import is_table, write_table
from .predict_writers import WRITERS
from .progress import progress_bars

if TYPE_CHECKING:
    from agegender_core.faces import Faces, Frame
    from agegender_core.many.listing import Item
    from agegender_core.many.rows import Look
    from agegender_core.pipeline import Pipeline

_MOST_WORKERS = 8


def predict(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Pictures, folders, globs in quotes, .zip and .tar archives, .parquet files with a column of "
            "pictures; - is a picture on stdin.",
        ),
    ] = None,
    format_: RowFormatOption = None,
    output: Annotated[
        Path | None,
        output(
            "PATH",
            "Also write the pictures with the faces drawn in: into a folder or, of one picture, a file. With a name in "
            ".csv, .json, .jsonl or .parquet: write the results into this file instead.",
        ),
    ] = None,
    files_from: Annotated[
        list[str] | None,
        typer.Option(
            "--files-from", metavar="FILE", help="A list: the path or address of a picture a line; - is one on stdin."
        ),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Into a .parquet table, also a column with each face, cut out and upright.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler, tcp://host:8786, whose workers do the work; for a .parquet table.",
        ),
    ] = None,
    model: Model = None,
    device: Device = DeviceName.AUTO,
    runtime: Runtime = RuntimeName.AUTO,
    flip: Flip = None,
    detector: Detector = DetectorName.YUNET,
    min_face: MinFace = None,
    any_rotation: AnyRotation = False,
    threshold: Threshold = None,
    min_quality: MinQuality = 0.0,
    upsample: Upsample = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 when a picture could not be read.")] = False,
    allow_urls: Annotated[
        bool,
        typer.Option(
            "--allow-urls",
            help="PATH, and what lists name, may be addresses: http and https of a picture, s3://, gs:// and the like.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Pictures at a time.", show_default="as many as cores, up to 8"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Find the faces in pictures and estimate their ages and genders.

    A picture that cannot be read gives a row with the reason, and the others go on. Pictures are never replaced by
    their drawings. After Ctrl-C the results so far are printed; of a .parquet table the same command makes
    what is missing.

    \b
    Examples:
      agegender predict samples/astronaut.jpg
      agegender predict holiday/ --output drawn/
      agegender predict stadium.jpg --min-face 8
      agegender predict 'scans/**/*.png' --format json > faces.json
      agegender predict - < me.jpg --output me-drawn.jpg
      agegender predict archive.zip --output faces.parquet
      agegender predict s3://bucket/photos --allow-urls --scheduler tcp://host:8786 -o faces.parquet
    """
    if upsample and detector is DetectorName.YUNET:
        raise UserError("--upsample is for --detector hog", hint="--min-face says how small faces may be.")
    table = is_table(output)
    if not table and (images or scheduler is not None):
        what = "--images" if images else "--scheduler"
        raise UserError(f"{what} is for a table", hint=f"Add --output faces.parquet to {what}.")
    if scheduler is not None and workers is not None:
        raise UserError("--workers is for this machine, and --scheduler for others", hint="Leave out one of them.")
    if table and format_ is not None:
        raise UserError(
            f"the results go into {output}, and are not printed", hint="Leave out --format, or --output NAME.parquet."
        )
    results = results_format(output, format_)
    if not paths and not files_from:
        raise UserError("PATH is missing", hint="agegender predict photo.jpg, or --files-from list.txt")
    found = find_pictures(paths or [], output, allow_urls, files_from or [])
    _tell_of_the_rest(found, output, quiet)
    if not len(found.listing):
        raise _no_pictures([*(paths or []), *(files_from or [])], found)

    from agegender_core.cpus import usable_cpus

    options = {
        "detector": detector.value,
        "min_face": min_face,
        "any_rotation": any_rotation,
        "upsample": upsample,
        "threshold": threshold,
        "min_quality": min_quality,
        "flip": flip,
        "device": device.value,
        "runtime": runtime.value,
    }
    at_a_time = min(_MOST_WORKERS, usable_cpus()) if workers is None else workers
    if table:
        assert output is not None
        tally = _Tally(total=len(found.listing))
        was_there = write_table(found.listing, output, model, options, images, scheduler, at_a_time, quiet, tally)
    else:
        was_there = False
        if output is not None and results is not None:
            with printed_into(output):
                tally = _print_rows(found, None, model, options, results, at_a_time, quiet)
        else:
            tally = _print_rows(found, output, model, options, format_ or RowFormat.TABLE, at_a_time, quiet)
    if not (table and tally.stopped):
        _conclude(tally, None if was_there else output, _hint(detector, any_rotation), quiet)
    if tally.stopped:
        raise typer.Exit(130)
    if tally.failed == tally.pictures or (tally.failed and strict):
        raise typer.Exit(2 if tally.failed == tally.pictures else 1)


def _print_rows(
    found: Found,
    output: Path | None,
    model: Path | None,
    options: Mapping[str, Any],
    format_: RowFormat,
    workers: int,
    quiet: bool,
) -> _Tally:
    """Prints the rows as they come, and draws if there is where to."""
    targets = {} if output is None else drawing_targets(list(found.listing), output)

    from agegender_core.many.rows import rows_of
    from agegender_core.pipeline import Pipeline

    pipeline = Pipeline.for_pictures(model, **options)
    for folder in {target.parent for target in targets.values()}:
        folder.mkdir(parents=True, exist_ok=True)
    tally = _Tally(total=len(found.listing))
    writer = WRITERS[format_]()
    try:
        rows = rows_of(found.listing, _look(pipeline, targets), min(workers, len(found.listing)))
        with closing(_with_progress(rows, len(found.listing), quiet)) as shown:
            for row in shown:
                tally.add(row)
                writer.write(row)
    except KeyboardInterrupt:
        tally.stopped = True
    writer.close()
    return tally


def _no_pictures(paths: Sequence[str], found: Found) -> UserError:
    names = ", ".join(paths)
    if found.left_out:
        return UserError(f"the pictures in {names} are all where --output leads to", hint="Choose another folder.")
    return UserError(f"no pictures in {names}", hint="Pictures end in .jpg, .png, .webp, .heic, .tif or the like.")


def _tell_of_the_rest(found: Found, output: Path | None, quiet: bool) -> None:
    if quiet:
        return
    if found.skipped:
        message(f"Skipped {len(found.skipped)} that are no pictures: {_shorten(found.skipped)}")
    if found.left_out:
        message(f"Left out {count(len(found.left_out), 'picture')} in {output}, where the drawings go.")


def _shorten(files: list[str]) -> str:
    names = [Path(file).name for file in files[:4]]
    return ", ".join(names) + (f" and {len(files) - 4} more" if len(files) > 4 else "")


def _look(pipeline: Pipeline, targets: Mapping[str, Path]) -> Look:
    from agegender_core.records import face_records

    def look(item: Item, image: Frame, row: dict[str, Any]) -> None:
        faces = pipeline(image)
        row["faces"] = face_records(faces)
        if item.name in targets:
            _draw(image, faces, targets[item.name])

    return look


def _draw(image: Frame, faces: Faces, path: Path) -> None:
    from agegender_core.draw import draw_faces
    from agegender_core.images import write_image

    try:
        write_image(path, draw_faces(image, faces), comment=COMMENT)
    except OSError as error:
        raise OSError(f"the drawing {path} can't be written: {error.strerror or error}") from None


@dataclass
class _Tally:
    """What was done.

    Attributes:
        total: pictures that there are.
        pictures: done so far, those that failed included.
        failed: could not be read.
        without: were read and have no face.
        stopped: by Ctrl-C.
    """

    total: int
    pictures: int = 0
    failed: int = 0
    faces: int = 0
    without: int = 0
    stopped: bool = False

    def add(self, row: dict[str, Any]) -> None:
        self.pictures += 1
        self.faces += len(row["faces"])
        self.failed += row["error"] is not None
        self.without += row["error"] is None and not row["faces"]


def _hint(detector: DetectorName, any_rotation: bool) -> str:
    if detector is DetectorName.HOG:
        return "--detector yunet finds small, turned and half-hidden faces"
    turned = "" if any_rotation else ", --any-rotation those that lie on their side"
    return f"--threshold 0.4 finds less clear faces, --min-face 8 smaller ones{turned}"


def _conclude(tally: _Tally, output: Path | None, hint: str, quiet: bool) -> None:
    if quiet:
        return
    of = f" of {tally.total:,}" if tally.stopped else ""
    parts = [f"{tally.pictures:,}{of} pictures" if of else count(tally.pictures, "picture"), count(tally.faces, "face")]
    if tally.without:
        parts.append(f"{tally.without:,} without")
    if tally.failed:
        parts.append(f"{tally.failed:,} that could not be read")
    written = f"; written to {output}" if output is not None and tally.failed < tally.pictures else ""
    message(f"{'Stopped: ' if tally.stopped else ''}{', '.join(parts)}{written}")
    if tally.without:
        message(f"  hint: where no face was found: {hint}")


def _with_progress(
    rows: Generator[dict[str, Any], None, None], total: int, quiet: bool
) -> Generator[dict[str, Any], None, None]:
    with closing(rows), progress_bars(quiet or total < 5) as new_bar:
        bar = new_bar("Pictures", total, "pictures")
        for number, row in enumerate(rows):
            bar.update(number + 1, total)
            yield row
