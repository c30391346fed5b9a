"""``agegender audit``: what is in stores, what was left out of them, and what is there twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, require_train
from .options import Format, FormatOption, NearDuplicates, Quiet, output
from .output import message, print_figures, scalars
from .progress import phase_bars
from .tables import cell, print_table

if TYPE_CHECKING:
    from agegender_train.audit import Overlaps, Summary


def audit(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Aligned stores, or what preprocess --labels-only wrote.")
    ],
    output: Annotated[
        Path | None,
        output("DIR", "Folder for the page and its plots.", show_default="the store, if it is only one"),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(metavar="SOURCE", help="A store's dataset, to show what was left out; may be repeated."),
    ] = None,
    near_duplicates: NearDuplicates = 8,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 if a face is there twice or on two sides of a split.")
    ] = False,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Show what is in stores, what was left out, and what is there twice, in one store or in several.

    Prints the figures, and writes audit.html, which stands alone, with plots and contact sheets in the folder audit.
    For several stores the page is only written where --output says.

    \b
    Examples:
      agegender audit stores/utkface --source UTKFace.tar.gz
      agegender audit stores/utkface stores/fairface stores/fgnet --output reports/data
      agegender audit stores/train stores/test --strict --format json
    """
    require_train()
    from agegender_train.audit import Summary, find_overlaps, write_page
    from agegender_train.audit.summary import match_sources
    from agegender_train.files import keep_apart
    from agegender_train.store.face_table import FaceTable

    opened, names = _open(stores)
    summaries = [
        Summary.of_labels(store, name) if isinstance(store, Path) else Summary.of(store, name)
        for store, name in zip(opened, names, strict=True)
    ]
    if output is None and len(stores) == 1:
        output = stores[0]
    if source and output is None:
        raise UserError("--source is of no use without a page", hint="--output DIR says where the page goes")
    if source and output is not None:
        keep_apart(output, source)
    files = match_sources(summaries, source) if source else {}
    real = [store for store in opened if not isinstance(store, Path)]
    overlaps = None
    if real:
        with phase_bars(quiet) as progress:
            overlaps = find_overlaps(FaceTable.read(real), near_duplicates or None, progress)
    figures = [summary.figures() for summary in summaries]

    def table() -> None:
        _print_stores(summaries)
        if overlaps is not None:
            _print_overlaps(overlaps)

    print_figures(
        format_,
        document={"stores": figures, "overlaps": None if overlaps is None else overlaps.figures()},
        rows=[_row(store) for store in figures],
        table=table,
    )
    for note in overlaps.notes if overlaps is not None else ():
        message(note)
    if output is not None:
        page = write_page(summaries, output, files, overlaps)
        if not quiet:
            message(f"{page} shows it")
    elif not quiet:
        message("no page was written: --output DIR says where it goes")
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


def _row(figures: dict[str, Any]) -> dict[str, Any]:
    """A store's figures as they fit into a row."""
    counts = {"left_out": sum(figures["rejected"].values())}
    return {**scalars(figures), **counts, **{name: figures["genders"][name] for name in ("female", "male")}}


def _print_stores(summaries: Sequence[Summary]) -> None:
    titles = ["store", "entries", "kept", "left out", "known age", "age group", "mean age", "female", "male", "people"]
    rows = []
    for summary in summaries:
        found = summary.figures()
        counts = [found["pictures"], found["faces"], len(summary.rejections), found["exact_ages"], found["age_groups"]]
        genders = [found["genders"]["female"], found["genders"]["male"], found["subjects"]]
        rows.append([summary.name, *map(cell, counts), cell(found["mean_age"], "{:.1f}"), *map(cell, genders)])
    print_table(titles, rows)
    reasons = [(reason, count, s) for s in summaries for reason, count in s.rejected.items()]
    if reasons:
        typer.echo("")
        print_table(
            ["left out of", "reason", "entries", "share"],
            [
                [summary.name, _line(reason), f"{count}", f"{count / max(summary.pictures, 1):.2%}"]
                for reason, count, summary in reasons[:_MOST_ROWS]
            ],
            left=["reason"],
        )
        if len(reasons) > _MOST_ROWS:
            typer.echo(f"and {len(reasons) - _MOST_ROWS} more reasons: see audit.parquet")


_MOST_ROWS = 100


def _print_overlaps(overlaps: Overlaps) -> None:
    typer.echo("")
    rows = [[str(value) for value in pair.values()] for pair in overlaps.between()]
    print_table(["in", "and in", "equal files", "look alike", "labels conflict"], rows, left=["and in"])
    if overlaps.splits:
        typer.echo("")
        rows = []
        for split in overlaps.splits:
            counts = [len(split.sides), len(split.people), len(split.pictures), len(split.copies)]
            rows.append([split.name, ", ".join(split.stores), *map(str, counts)])
        print_table(["split", "of", "faces", "on two sides: people", "pictures", "pairs of copies"], rows, left=["of"])


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:80]
