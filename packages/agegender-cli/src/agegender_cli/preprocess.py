"""``agegender preprocess``: a dataset's pictures become an aligned store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.errors import UserError, require_train
from agegender_cli.options import NearDuplicates, Quiet

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
    boxes: Annotated[
        str,
        typer.Option(
            metavar="detect|known|detect-then-known",
            help="Take the faces that the detector finds, the boxes that the dataset gives, or these for want of one.",
        ),
    ] = "detect-then-known",
    detector: Annotated[
        str, typer.Option(metavar="hog|yunet", help="dlib's detector, or OpenCV's network, which finds more faces.")
    ] = "hog",
    detector_model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YuNet's model file: face_detection_yunet_2023mar.onnx.")
    ] = None,
    faces: Annotated[
        str,
        typer.Option(
            metavar="largest|one|all",
            help="Of several faces in a picture take the largest, none, or all with the picture's label.",
        ),
    ] = "largest",
    min_face: Annotated[int, typer.Option(metavar="PIXELS", help="Leave out smaller faces.")] = 24,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Side of the aligned faces.")] = 140,
    padding: Annotated[float, typer.Option(help="Margin round the face, as a part of the face's side.")] = 0.4,
    upsample: Annotated[int, typer.Option(help="Double the pictures so many times before detection.")] = 0,
    landmarks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A 5-point landmark model of dlib's instead of the built-in one."),
    ] = None,
    near_duplicates: NearDuplicates = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first so many pictures.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="one a CPU")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler, tcp://host:8786, whose workers do the work instead."),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write the audit as a page, too, with plots and pictures.")] = True,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Write the labels as a table, without looking at pictures.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the datasets, their layout, licence and origin.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find, align and store the faces of a dataset, with a reason for every picture that was left out.

    Stopped in the middle, the same command goes on from there, and the store is the same as without the stop.

    \b
    Examples:
      agegender preprocess --list
      agegender preprocess fairface ~/data/fairface --out stores/fairface
      agegender preprocess utkface UTKFace.tar.gz --out stores/utkface
      agegender preprocess wiki wiki.mat --labels-only --out labels/wiki
    """
    require_train()
    if list_:
        return _show_datasets()
    if dataset is None or not source or out is None:
        missing = "DATASET" if dataset is None else "--out" if source else "SOURCE"
        raise UserError(f"{missing} is missing", hint="agegender preprocess DATASET SOURCE --out STORE; --list helps")
    if labels_only:
        return _write_labels(dataset, source, out)
    from agegender_train.preprocessing import preprocess as run

    with _progress(quiet) as progress:
        try:
            audit = run(
                dataset,
                source,
                out,
                boxes=boxes,  # type: ignore[arg-type]  # is checked there
                detector=detector,  # type: ignore[arg-type]
                detector_model=detector_model,
                faces=faces,  # type: ignore[arg-type]
                min_face=min_face,
                size=size,
                padding=padding,
                detector_upsample=upsample,
                landmarks=landmarks,
                near_duplicates=near_duplicates or None,
                workers=workers,
                scheduler=scheduler,
                limit=limit,
                report=report,
                progress=progress,
            )
        except KeyboardInterrupt:
            typer.echo(f"Stopped. The same command goes on from here: {out} keeps what is done.", err=True)
            raise typer.Exit(130) from None
    _show_audit(audit)
    typer.echo(f"{out} is ready; {out / 'audit.parquet'} says why each of the others was left out", err=True)
    if report:
        typer.echo(f"{out / 'audit.html'} shows it", err=True)


def _write_labels(dataset: str, source: list[Path], out: Path) -> None:
    from agegender_train.preprocessing.label_table import write_label_table

    audit = write_label_table(dataset, source, out)
    rejected = sum(audit["rejected"].values())
    lines = [("rows", audit["rows"]), ("kept", audit["kept"])]
    for name, word in (("per_gender", "gender"), ("per_split", "split"), ("per_age_group", "age")):
        lines += [(f"  {word} {value}", count) for value, count in audit[name].items() if value]
    _show_counts([*lines, ("rejected", rejected), *_reasons(audit)], audit["rows"])
    typer.echo(
        f"{out / 'labels.parquet'} has the labels, {out / 'audit.parquet'} why the others are not in it", err=True
    )


def _show_datasets() -> None:
    from agegender_train.datasets import available

    for name, reader in available().items():
        typer.echo(f"{name}\n  {reader.title}\n  layout:  {reader.layout}")
        typer.echo(f"  licence: {reader.licence}\n  from:    {reader.url}\n")


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    phases = {
        "duplicates": ("Looking for duplicates", "files"),
        "faces": ("Aligning faces", "pictures"),
        "near-duplicates": ("Looking for near-duplicates", "faces"),
        "comparing": ("Comparing near-duplicates", "pairs"),
        "finishing": ("Finishing shards", "shards"),
    }
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
                tasks[phase] = bar.add_task(phases[phase][0], total=total, completed=done, rate="")
            elif done == total or done % 20 == 0 or done - bar.tasks[tasks[phase]].completed > 20:
                speed = bar.tasks[tasks[phase]].speed
                bar.update(tasks[phase], completed=done, rate=f"{speed:.0f} {phases[phase][1]}/s" if speed else "")

        yield show


def _show_audit(audit: dict[str, Any]) -> None:
    pictures, kept = audit["pictures"], audit["pictures_kept"]
    lines = [("pictures", pictures), ("kept", kept)]
    if audit["kept"] != kept:
        lines += [("  faces of them", audit["kept"])]
    lines += [(f"  face {name}", count) for name, count in audit["box_from"].items()]
    lines += [(f"  split {name}", count) for name, count in audit["per_split"].items() if name]
    _show_counts([*lines, ("rejected", pictures - kept), *_reasons(audit)], pictures)


def _reasons(audit: dict[str, Any]) -> list[tuple[str, int]]:
    return [(f"  {reason}", count) for reason, count in audit["rejected"].items()]


def _show_counts(lines: list[tuple[str, int]], whole: int) -> None:
    width = max(len(name) for name, _ in lines)
    for name, count in lines:
        typer.echo(f"{name:<{width}}  {count:>8}  {count / max(whole, 1):7.2%}")
