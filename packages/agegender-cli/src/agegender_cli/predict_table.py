"""How `agegender predict` writes its rows into a Parquet file, here or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .errors import UserError
from .output import message
from .progress import progress_bars

if TYPE_CHECKING:
    from agegender_core.many.listing import Listing


class Counts(Protocol):
    """What was done: see `Tally` of `agegender_core.many.shards`."""

    pictures: int
    faces: int
    failed: int
    without: int
    stopped: bool


def is_table(output: Path | None) -> bool:
    """Whether the results go into a table."""
    return output is not None and output.suffix.lower() == ".parquet"


def write_table(
    listing: Listing,
    output: Path,
    model: Path | None,
    options: Mapping[str, Any],
    images: bool,
    scheduler: str | None,
    workers: int,
    quiet: bool,
    counts: Counts,
) -> bool:
    """Writes a row a face into `output`, and fills `counts`.

    Returns:
        Whether the table was there already, and nothing was to be done.

    Raises:
        UserError: a package is missing; a picture is on stdin, or in the memory of this process, and the work is to be
            done elsewhere.
    """
    _check(listing, scheduler)
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}", hint="Make it first.")
    try:
        from agegender_core.many.job import make_table
    except ModuleNotFoundError as error:
        raise UserError(
            f"--output {output} needs a package that is not installed: {error.name}",
            hint='pip install pyarrow (the extra "agegender-core[parquet]")',
        ) from None
    if options["runtime"] == "auto":
        # Which of them was faster differs from machine to machine, and the rows must not.
        options = {**options, "runtime": "onnxruntime"}
    total, there = len(listing), output.exists()
    with progress_bars(quiet or total < 5) as new_bar:
        bar = new_bar("Pictures", total, "pictures")

        def show(done: int) -> None:
            counts.pictures = done
            bar.update(done, total)

        try:
            tally = make_table(
                listing,
                output,
                model=model,
                options=dict(options),
                images=images,
                scheduler=scheduler,
                workers=workers,
                progress=show,
            )
        except KeyboardInterrupt:
            counts.stopped = True
            message(
                f"Stopped: {counts.pictures:,} of {total:,} pictures are done.\n"
                f"  hint: the same command goes on from here: {output}.parts keeps them"
            )
            return there
    if there and not quiet:
        message(f"{output} was there already, with these pictures by their names: nothing was to be done.")
    counts.pictures, counts.faces = tally.pictures, tally.faces
    counts.failed, counts.without = tally.failed, tally.without
    return there


def _check(listing: Listing, scheduler: str | None) -> None:
    from agegender_core.many.remote import Remote

    from .pictures import Stdin

    for part in listing.parts:
        if isinstance(part.source, Stdin):
            raise UserError("a picture on stdin can't go into a table", hint="Save it as a file first.")
        if scheduler is None:
            continue
        if isinstance(part.source, Remote) and part.source.scheme == "memory":
            raise UserError("memory:// is in this process alone, and --scheduler has other processes do the work")
    if scheduler is None:
        return
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise UserError(
            "--scheduler needs a package that is not installed: distributed",
            hint='pip install distributed (the extra "agegender-core[dask]")',
        )
