"""``agegender audit``: what is in stores, what was left out of them, and what is there twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.comparing import comparing
from agegender_cli.errors import UserError, require_train
from agegender_cli.options import NearDuplicates, Quiet, ReportFormat, TableOrJson

if TYPE_CHECKING:
    from agegender_train.audit import Overlaps, Summary


def audit(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Aligned stores, or what preprocess --labels-only wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the page and its plots.", show_default="the store, if it is one"),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SOURCE", help="A store's dataset, to show what was left out; may be given several times."
        ),
    ] = None,
    near_duplicates: NearDuplicates = 8,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 if a face is there twice or on two sides of a split.")
    ] = False,
    format_: ReportFormat = TableOrJson.TABLE,
    quiet: Quiet = False,
) -> None:
    """Show what is in stores, what was left out, and what is there twice, in one store or in several.

    Prints the figures, and writes audit.html, which stands alone, with plots and contact sheets in the folder audit.
    For several stores the page is only written where --out says.

    \b
    Examples:
      agegender audit stores/utkface --source UTKFace.tar.gz
      agegender audit stores/utkface stores/fairface stores/fgnet --out reports/data
      agegender audit stores/train stores/test --strict --format json
    """
    require_train()
    from agegender_train.audit import Summary, find_overlaps, write_page
    from agegender_train.audit.summary import match_sources
    from agegender_train.store.face_table import FaceTable

    opened, names = _open(stores)
    summaries = [
        Summary.of_labels(store, name) if isinstance(store, Path) else Summary.of(store, name)
        for store, name in zip(opened, names, strict=True)
    ]
    if out is None and len(stores) == 1:
        out = stores[0]
    if source and out is None:
        raise UserError("--source is of no use without a page", hint="--out DIR says where the page goes")
    files = match_sources(summaries, source) if source else {}
    real = [store for store in opened if not isinstance(store, Path)]
    overlaps = None
    if real:
        with comparing(quiet) as progress:
            overlaps = find_overlaps(FaceTable.read(real), near_duplicates or None, progress)
    if format_ is TableOrJson.JSON:
        report = {
            "stores": [summary.figures() for summary in summaries],
            "overlaps": None if overlaps is None else overlaps.figures(),
        }
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show_stores(summaries)
        if overlaps is not None:
            _show_overlaps(overlaps)
    if out is not None:
        page = write_page(summaries, out, files, overlaps)
        if not quiet:
            typer.echo(f"{page} shows it", err=True)
    elif not quiet:
        typer.echo("no page was written: --out DIR says where it goes", err=True)
    if strict and overlaps is not None and not overlaps.is_clean:
        raise typer.Exit(1)


def _open(paths: Sequence[Path]) -> tuple[list[Any], list[str]]:
    """The stores, or the paths of label tables, and a name for each."""
    from agegender_train.audit import LABELS_FILE
    from agegender_train.store import Store
    from agegender_train.store.face_table import store_names

    opened = [
        path if (path / LABELS_FILE).exists() and not (path / "store.json").exists() else Store.open(path)
        for path in paths
    ]
    stores = [store for store in opened if isinstance(store, Store)]
    named = iter(store_names(stores))
    return opened, [next(named) if isinstance(store, Store) else store.resolve().name for store in opened]


def _show_stores(summaries: Sequence[Summary]) -> None:
    titles = ["store", "entries", "kept", "left out", "known age", "age group", "mean age", "female", "male", "people"]
    rows = [titles]
    for summary in summaries:
        found = summary.figures()
        mean = "-" if found["mean_age"] is None else f"{found['mean_age']:.1f}"
        counts = [found["pictures"], found["faces"], len(summary.rejections), found["exact_ages"], found["age_groups"]]
        genders = [found["genders"]["female"], found["genders"]["male"], found["subjects"]]
        rows.append([summary.name, *map(_number, counts), mean, *map(_number, genders)])
    _print(rows, 1)
    reasons = [(reason, count, s) for s in summaries for reason, count in s.rejected.items()]
    if reasons:
        typer.echo("")
        table = [["left out of", "reason", "entries", "share"]]
        for reason, count, summary in reasons[:_MOST_ROWS]:
            table.append([summary.name, _line(reason), f"{count}", f"{count / max(summary.pictures, 1):.2%}"])
        _print(table, 2)
        if len(reasons) > _MOST_ROWS:
            typer.echo(f"and {len(reasons) - _MOST_ROWS} more reasons: see audit.parquet")


_MOST_ROWS = 100


def _show_overlaps(overlaps: Overlaps) -> None:
    typer.echo("")
    rows = [["in", "and in", "equal files", "look alike", "labels conflict"]]
    rows += [[str(value) for value in pair.values()] for pair in overlaps.between()]
    _print(rows, 2)
    if overlaps.splits:
        typer.echo("")
        rows = [["split", "of", "faces", "on two sides: people", "pictures", "pairs of copies"]]
        for split in overlaps.splits:
            counts = [len(split.sides), len(split.people), len(split.pictures), len(split.copies)]
            rows.append([split.name, ", ".join(split.stores), *map(str, counts)])
        _print(rows, 2)
    for note in overlaps.notes:
        typer.echo(note, err=True)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:80]


def _print(rows: Sequence[Sequence[str]], texts: int) -> None:
    """A table whose first columns, so many, are texts; the others are numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            f"{cell:<{width}}" if column < texts else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join(cells).rstrip())
