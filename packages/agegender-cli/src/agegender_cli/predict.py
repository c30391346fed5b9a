"""``agegender predict``: ages and genders of the faces in pictures."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from .pictures import Found, Picture, find_pictures
from .predict_writers import WRITERS
from .progress import progress_bars

if TYPE_CHECKING:
    from agegender_core.faces import Faces, Frame
    from agegender_core.pipeline import Pipeline

_MOST_WORKERS = 8


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders, or globs in quotes; - is a picture on stdin."),
    ],
    format_: RowFormatOption = RowFormat.TABLE,
    output: Annotated[
        Path | None,
        output("PATH", "Also write the pictures with the faces drawn in: into a folder or, of one picture, a file."),
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
        bool, typer.Option("--allow-urls", help="PATH may be the http or https address of a picture.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Pictures at a time.", show_default="as many as cores, up to 8"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Find the faces in pictures and estimate their ages and genders.

    A picture that cannot be read gives a row with the reason, and the others go on. Pictures are never replaced by
    their drawings. After Ctrl-C the results so far are printed.

    \b
    Examples:
      agegender predict samples/astronaut.jpg
      agegender predict holiday/ --output drawn/
      agegender predict stadium.jpg --min-face 8
      agegender predict 'scans/**/*.png' --format json > faces.json
      agegender predict - < me.jpg --output me-drawn.jpg
    """
    if upsample and detector is DetectorName.YUNET:
        raise UserError("--upsample is for --detector hog", hint="--min-face says how small faces may be.")
    found = find_pictures(paths, output, allow_urls)
    _tell_of_the_rest(found, output, quiet)
    if not found.pictures:
        raise _no_pictures(paths, found)
    targets = {} if output is None else drawing_targets(found.pictures, output)

    from agegender_core.cpus import usable_cpus
    from agegender_core.pipeline import Pipeline

    pipeline = Pipeline.for_pictures(
        model,
        detector=detector.value,
        min_face=min_face,
        any_rotation=any_rotation,
        upsample=upsample,
        threshold=threshold,
        min_quality=min_quality,
        flip=flip,
        device=device,
        runtime=runtime,
    )
    for folder in {target.parent for target in targets.values()}:
        folder.mkdir(parents=True, exist_ok=True)
    tally = _Tally(total=len(found.pictures))
    writer = WRITERS[format_]()
    try:
        rows = _rows(
            found.pictures, pipeline, targets, min(_MOST_WORKERS, usable_cpus()) if workers is None else workers
        )
        with closing(_with_progress(rows, len(found.pictures), quiet)) as shown:
            for row in shown:
                tally.add(row)
                writer.write(row)
    except KeyboardInterrupt:
        tally.stopped = True
    writer.close()
    _conclude(tally, output, _hint(detector, any_rotation), quiet)
    if tally.stopped:
        raise typer.Exit(130)
    if tally.failed == tally.pictures or (tally.failed and strict):
        raise typer.Exit(2 if tally.failed == tally.pictures else 1)


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


def _shorten(files: list[Path]) -> str:
    names = [file.name for file in files[:4]]
    return ", ".join(names) + (f" and {len(files) - 4} more" if len(files) > 4 else "")


def _rows(
    pictures: list[Picture], pipeline: Pipeline, targets: dict[str, Path], workers: int
) -> Generator[dict[str, Any], None, None]:
    """The results in the order of the pictures; so many of these are in work at a time."""
    waiting: deque[Future[dict[str, Any]]] = deque()
    with ThreadPoolExecutor(min(workers, len(pictures))) as executor:
        try:
            for picture in pictures:
                waiting.append(executor.submit(_row, picture, pipeline, targets.get(picture.name)))
                while len(waiting) > workers or (waiting and waiting[0].done()):
                    yield waiting[0].result()
                    waiting.popleft()
            while waiting:
                yield waiting[0].result()
                waiting.popleft()
        except KeyboardInterrupt:
            # What is in work is finished, and counts: its drawing may be there already.
            begun = [future for future in waiting if not future.cancel()]
            for future in begun:
                yield future.result()
            raise
        finally:
            for future in waiting:
                future.cancel()


def _row(picture: Picture, pipeline: Pipeline, drawing: Path | None) -> dict[str, Any]:
    from agegender_core.picture_rows import empty_row, reason_of

    row = empty_row(picture.name)
    try:
        image = picture.read()
        row["width"], row["height"] = image.shape[1], image.shape[0]
        faces = pipeline(image)
        row["faces"] = _records(faces)
        if drawing is not None:
            _draw(image, faces, drawing)
    except Exception as error:
        # Whatever happens with one picture, the others go on; a bug is to be seen where it is looked for.
        if os.environ.get("AGEGENDER_DEBUG") == "1" and not isinstance(error, ValueError | OSError | MemoryError):
            raise
        row["error"] = reason_of(error, picture.name)
    return row


def _records(faces: Faces) -> list[dict[str, Any]]:
    from agegender_core.records import face_records

    return face_records(faces)


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
