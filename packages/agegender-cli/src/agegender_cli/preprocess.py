"""``agegender preprocess``: a dataset's pictures become an aligned store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.errors import UserError, require_train
from agegender_cli.options import Quiet

if TYPE_CHECKING:
    from agegender_train.preprocessing import Progress


def preprocess(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Name of the dataset; --list shows them.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE", help="The dataset's folder, or its archives as they come."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="STORE", help="Folder of the store; it is made.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="one a CPU")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first so many pictures.")] = None,
    boxes: Annotated[
        str,
        typer.Option(
            metavar="detect|known|detect-then-known",
            help="Take the faces that the detector finds, the boxes that the dataset gives, or these for want of one.",
        ),
    ] = "detect-then-known",
    size: Annotated[int, typer.Option(help="Side of the aligned faces in pixels.")] = 140,
    padding: Annotated[float, typer.Option(help="Margin round the face, as a part of the face's side.")] = 0.4,
    upsample: Annotated[int, typer.Option(help="Double the pictures so many times before detection.")] = 0,
    landmarks: Annotated[
        Path | None, typer.Option(help="A 5-point landmark model of dlib's instead of the built-in one.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the datasets, their layout, licence and origin.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find, align and store the faces of a dataset, with a count of every picture that was left out.

    Stopped in the middle, the same command goes on from there, and the store is the same as without the stop.

    \b
    Examples:
      agegender preprocess --list
      agegender preprocess fairface ~/data/fairface --out stores/fairface
      agegender preprocess utkface UTKFace.tar.gz --out stores/utkface
    """
    require_train()
    if list_:
        return _show_datasets()
    if dataset is None or not source or out is None:
        missing = "DATASET" if dataset is None else "--out" if source else "SOURCE"
        raise UserError(f"{missing} is missing", hint="agegender preprocess DATASET SOURCE --out STORE; --list helps")
    from agegender_train.preprocessing import preprocess as run

    with _progress(quiet) as progress:
        try:
            audit = run(
                dataset,
                source,
                out,
                boxes=boxes,  # type: ignore[arg-type]  # is checked there
                size=size,
                padding=padding,
                detector_upsample=upsample,
                landmarks=landmarks,
                workers=workers,
                limit=limit,
                progress=progress,
            )
        except KeyboardInterrupt:
            typer.echo(f"Stopped. The same command goes on from here: {out} keeps what is done.", err=True)
            raise typer.Exit(130) from None
    _show_audit(audit, out)


def _show_datasets() -> None:
    from agegender_train.datasets import available

    for name, reader in available().items():
        typer.echo(f"{name}\n  {reader.title}\n  layout:  {reader.layout}")
        typer.echo(f"  licence: {reader.licence}\n  from:    {reader.url}\n")


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    titles = {"duplicates": "Looking for duplicates", "faces": "Aligning faces"}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:  # what an earlier run did is no part of this one's rate
                tasks[phase] = bar.add_task(titles[phase], total=total, completed=done, rate="")
            elif done == total or done % 20 == 0:
                speed = bar.tasks[tasks[phase]].speed
                bar.update(tasks[phase], completed=done, rate=f"{speed:.0f} pictures/s" if speed else "")

        yield show


def _show_audit(audit: dict[str, Any], out: Path) -> None:
    pictures = audit["pictures"]
    lines = [("pictures", pictures), ("kept", audit["kept"])]
    lines += [(f"  face {name}", count) for name, count in audit["box_from"].items()]
    lines += [(f"  split {name}", count) for name, count in audit["per_split"].items() if name]
    lines += [("rejected", pictures - audit["kept"])]
    lines += [(f"  {reason}", count) for reason, count in audit["rejected"].items()]
    width = max(len(name) for name, _ in lines)
    for name, count in lines:
        typer.echo(f"{name:<{width}}  {count:>8}  {count / max(pictures, 1):7.2%}")
    typer.echo(f"{out} is ready; every rejected picture is listed under {out / 'audit'}", err=True)
