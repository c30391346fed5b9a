"""``agegender preprocess``: a dataset's pictures become an aligned store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from .errors import UserError, require_train
from .options import Format, FormatOption, NearDuplicates, Quiet, output
from .output import count, message, print_figures
from .progress import COPIES, phase_bars

_PHASES = {
    "duplicates": ("Looking for duplicates", "files"),
    "faces": ("Aligning faces", "pictures"),
    **COPIES,
    "finishing": ("Finishing shards", "shards"),
}


def preprocess(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Name of the dataset; --list shows them.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE", help="The dataset's folder, or its archives as they come."),
    ] = None,
    output: Annotated[Path | None, output("STORE", "Folder of the store; it is made.")] = None,
    boxes: Annotated[
        str,
        typer.Option(
            metavar="detect|known|detect-then-known",
            help="Take the faces that the detector finds, the dataset's own boxes, or these where it finds none.",
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
    padding: Annotated[float, typer.Option(help="Margin around the face, as a part of the face's side.")] = 0.4,
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
    report: Annotated[bool, typer.Option(help="Also write the audit as a page, with plots and pictures.")] = True,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Write the labels as a table, without looking at pictures.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the datasets, their layout, licence and origin.")] = False,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Find, align and store the faces of a dataset, with a reason for every picture that was left out.

    Stopped in the middle, the same command goes on from there, and the store is the same as without the stop.

    \b
    Examples:
      agegender preprocess --list
      agegender preprocess fairface ~/data/fairface --output stores/fairface
      agegender preprocess utkface UTKFace.tar.gz --output stores/utkface
      agegender preprocess wiki wiki.mat --labels-only --output labels/wiki
    """
    require_train()
    if list_:
        return _list_datasets(format_)
    if dataset is None or not source or output is None:
        missing = "DATASET" if dataset is None else "--output" if source else "SOURCE"
        raise UserError(
            f"{missing} is missing", hint="agegender preprocess DATASET SOURCE --output STORE; --list helps"
        )
    if labels_only:
        return _write_labels(dataset, source, output, format_, quiet)
    from agegender_train.preprocessing import preprocess as run

    with phase_bars(quiet, _PHASES) as progress:
        try:
            audit = run(
                dataset,
                source,
                output,
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
            message(f"Stopped. The same command goes on from here: {output} keeps what is done.")
            raise typer.Exit(130) from None
    _print(format_, quiet, audit, _audit_lines(audit))
    left_out = audit["pictures"] - audit["pictures_kept"]
    if not audit["kept"]:
        raise _nothing_kept(dataset, output, audit, "picture", audit["pictures"])
    if not quiet:
        kept = f"{count(audit['pictures'], 'picture')}, {count(audit['kept'], 'face')} kept"
        message(f"{kept}, {left_out:,} left out; written to {output}")
        if left_out:
            message(f"{output / 'audit.parquet'} says why each of the others was left out")
        if report:
            message(f"{output / 'audit.html'} shows it")
    _say_more(audit, quiet)


def _write_labels(dataset: str, source: list[Path], output: Path, format_: Format, quiet: bool) -> None:
    from agegender_train.preprocessing.label_table import write_label_table

    audit = write_label_table(dataset, source, output)
    lines = [("", "rows", audit["rows"]), ("", "kept", audit["kept"])]
    for name, word in (("per_gender", "gender"), ("per_split", "split"), ("per_age_group", "age")):
        lines += [(word, value, count) for value, count in audit[name].items() if value]
    lines += [("", "rejected", sum(audit["rejected"].values())), *_reasons(audit)]
    _print(format_, quiet, audit, lines)
    if not audit["kept"]:
        raise _nothing_kept(dataset, output, audit, "row", audit["rows"])
    if not quiet:
        left_out = audit["rows"] - audit["kept"]
        kept = f"{count(audit['rows'], 'row')}, {count(audit['kept'], 'label')} kept"
        message(f"{kept}, {left_out:,} left out; written to {output}")
        message(f"{output / 'labels.parquet'} has the labels, {output / 'audit.parquet'} why the others are not in it")
    _say_more(audit, quiet)


def _print(format_: Format, quiet: bool, audit: Mapping[str, Any], lines: Sequence[Line]) -> None:
    """Prints the counts; `quiet` suppresses the table, which is for people, and not what a machine reads."""

    def table() -> None:
        if not quiet:
            _print_counts(lines)

    print_figures(format_, document=audit, rows=_rows(lines), table=table)


def _say_more(audit: Mapping[str, Any], quiet: bool) -> None:
    """What the reader noticed, and last the warnings, which `quiet` doesn't suppress."""
    for note in () if quiet else audit.get("notes", ()):
        message(f"note: {note}")
    for warning in audit.get("warnings", ()):
        message(f"warning: {warning}")


def _nothing_kept(dataset: str, output: Path, audit: Mapping[str, Any], what: str, total: int) -> UserError:
    for note in audit.get("notes", ()):
        message(f"note: {note}")
    if not total:
        return UserError(f"nothing was kept: {dataset} has no {what}s there", hint="agegender preprocess --list helps")
    reason, times = max(audit["rejected"].items(), key=lambda item: item[1])
    example = next((row for row in _left_out(output) if row["reason"] == reason), {"source": "", "value": ""})
    shown = example["source"] + (f": {example['value']}" if example["value"] else "")
    return UserError(
        f"nothing was kept of {count(total, what)}; {count(times, 'time')}: {reason} ({shown[:_LONGEST]}); "
        f"{output / 'audit.parquet'} says it of each",
        hint=_PATHS_OF_CSV if (dataset, reason) == ("csv", _MISSING) else _HINTS.get(reason),
    )


def _left_out(output: Path) -> list[dict[str, str]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, str]] = pq.read_table(
        output / "audit.parquet", columns=["source", "reason", "value"]
    ).to_pylist()
    return rows


_LONGEST = 300
_MISSING = "missing from the archive"
_PATHS_OF_CSV = "its paths begin at the file's own folder, or at a folder or archive given as another SOURCE"
_HINTS = {
    _MISSING: "give the folder or the archives with the pictures as another SOURCE",
    "not in the label file": "the names in the label file are not those of the pictures: compare them",
    "no face": "--detector yunet finds more faces than hog",
    "too small": "--min-face takes smaller faces",
}


def _list_datasets(format_: Format) -> None:
    from agegender_train.datasets import available

    rows = [
        {"name": name, "title": reader.title, "layout": reader.layout, "licence": reader.licence, "url": reader.url}
        for name, reader in available().items()
    ]

    def table() -> None:
        for row in rows:
            typer.echo(f"{row['name']}\n  {row['title']}\n  layout:  {row['layout']}")
            typer.echo(f"  licence: {row['licence']}\n  from:    {row['url']}\n")

    print_figures(format_, document=rows, rows=rows, table=table)


Line: TypeAlias = tuple[str, str, int]
"""What is counted, in which column of the audit, and how many there are; the first line counts all."""


def _audit_lines(audit: Mapping[str, Any]) -> list[Line]:
    pictures, kept = audit["pictures"], audit["pictures_kept"]
    lines = [("", "pictures", pictures), ("", "kept", kept)]
    if audit["kept"] != kept:
        lines += [("", "faces of them", audit["kept"])]
    lines += [("face", name, count) for name, count in audit["box_from"].items()]
    lines += [("split", name, count) for name, count in audit["per_split"].items() if name]
    return [*lines, ("", "rejected", pictures - kept), *_reasons(audit)]


def _reasons(audit: Mapping[str, Any]) -> list[Line]:
    return [("reason", reason, count) for reason, count in audit["rejected"].items()]


def _rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "count": count} for kind, name, count in lines]


def _print_counts(lines: Sequence[Line]) -> None:
    whole = max(lines[0][2], 1)
    titled = [(_title(kind, name), number) for kind, name, number in lines]
    width = max(len(title) for title, _ in titled)
    for title, number in titled:
        typer.echo(f"{title:<{width}}  {number:>8}  {number / whole:7.2%}")


def _title(kind: str, name: str) -> str:
    if name == "faces of them":
        return f"  {name}"
    return f"  {name}" if kind == "reason" else f"  {kind} {name}" if kind else name
