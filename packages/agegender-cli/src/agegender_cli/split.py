"""``agegender split``: which faces of a store to train on and which to test on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, require_train
from .options import Format, FormatOption, NearDuplicates, Quiet
from .output import count, message, print_figures, scalars
from .progress import phase_bars
from .tables import cell, print_table

if TYPE_CHECKING:
    from agegender_train.splits import Split


def split(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores, split as one.")],
    folds: Annotated[
        int | None, typer.Option(metavar="N", help="Number of folds, at least 2.", show_default="10")
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="subject|picture", help="What is never parted: a person, or just a picture.")
    ] = "subject",
    stratify: Annotated[
        str,
        typer.Option(metavar="WORDS", help="Each fold gets its share of each: some of age,gender,group,dataset."),
    ] = "age,gender",
    seed: Annotated[int, typer.Option(help="Another one gives other folds.")] = 1,
    official: Annotated[
        bool, typer.Option("--official", help="Take the split of the dataset's authors instead of making one.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the split is called.", show_default="folds-N or official"),
    ] = None,
    near_duplicates: NearDuplicates = 8,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of a split of that name.")] = False,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Divide the faces of stores into folds, with no person and no picture in two of them.

    Writes NAME.csv (key, face, fold), NAME.json (how it was made) and NAME.png (how alike the folds are) into each
    store's folder splits, and prints the latter. Faces of an official val or test split never get into a fold: they
    are marked held-out.

    \b
    Examples:
      agegender split stores/fgnet --folds 5
      agegender split stores/utkface stores/fairface --stratify age,gender,dataset --seed 2 --name both
      agegender split stores/adience --official
    """
    require_train()
    from agegender_train.audit.plots import plot_folds
    from agegender_train.duplicates.copies import find_copies
    from agegender_train.files import write_atomically
    from agegender_train.splits import SplitSettings, balance, make_split, write_split
    from agegender_train.store import Store
    from agegender_train.store.face_table import FaceTable

    if official and folds is not None:
        raise UserError("--official and --folds exclude each other", hint="official folds are as many as they are")
    words: Any = tuple(word.strip() for word in stratify.split(",") if word.strip())
    settings = SplitSettings(10 if folds is None else folds, by, words, seed, official)  # type: ignore[arg-type]
    name = name or ("official" if official else f"folds-{settings.folds}")
    table = FaceTable.read([Store.open(store) for store in stores])
    with phase_bars(quiet) as progress:
        copies = find_copies(table, near_duplicates or None, progress)
    made = make_split(table, [(copy.first, copy.second) for copy in copies], settings)
    try:
        paths = write_split(made, name, replace=replace)
    except FileExistsError as error:
        raise UserError(str(error), hint="--name gives it another name, --replace puts it there") from None
    figures = balance(made)
    picture = plot_folds(figures)
    for path in paths:
        write_atomically(path.with_suffix(".png"), picture)
    notes = _notes(made)
    print_figures(
        format_,
        document={"name": name, "files": [str(path) for path in paths], "balance": figures, "notes": notes},
        rows=[{**scalars(side), **(side["bands"] or {})} for side in figures],
        table=lambda: _print_table(figures),
    )
    if not quiet:
        for note in notes:
            message(note)
        message(f"written: {', '.join(map(str, paths))}")


def _print_table(figures: Sequence[dict[str, Any]]) -> None:
    bands: dict[str, float] = next((side["bands"] for side in figures[::-1] if side["bands"]), {})
    rows = []
    for side in figures:
        shares = [cell(side["bands"][band] if side["bands"] else None, "{:.1%}") for band in bands]
        counts = [str(side["n"]), cell(side["subjects"]), str(side["groups"])]
        rows.append([side["fold"], *counts, cell(side["male"], "{:.1%}"), cell(side["age"], "{:.1f}"), *shares])
    print_table(["fold", "n", "people", "groups", "male", "age", *bands], rows)


def _notes(split: Split) -> list[str]:
    """What a user should know of this split, in sentences."""
    from agegender_train.splits import HELD_OUT

    notes = []
    labels, leaking = split.table.labels, int(split.leaking.sum())
    if split.settings.official:
        if leaking:
            notes.append(
                f"{count(leaking, 'face')} with a person or a picture of another official side: left as the authors "
                "have it; agegender audit lists them"
            )
        if missing := int((split.sides == HELD_OUT).sum()):
            notes.append(f"{count(missing, 'face')} without an official side: held out")
        return notes
    if held := int((split.sides == HELD_OUT).sum()):
        notes.append(
            f"{count(held, 'face')} held out: {held - leaking} of an official val or test split, {leaking} with a "
        )
        notes[-1] += "person or a picture of one of those"
    words = sorted({word for word in labels.split if word})
    folds = [word for word in words if word.lower().startswith("fold")]
    if folds:
        notes.append(f"the dataset has official folds ({folds[0]}, ...), which published figures use: see --official")
    if strange := [word for word in words if not _is_official(word)]:
        notes.append(f"the split {strange[0]!r} is none of train, val, test and fold-N: its faces are in the folds")
    unknown = sum(subject is None for subject in labels.subject)
    if split.settings.by == "subject" and unknown:
        notes.append(
            f"of {count(unknown, 'face')} nobody knows who it is: only copies of one picture are kept together there"
        )
    return notes


def _is_official(word: str) -> bool:
    from agegender_train.splits.make import official_side

    try:
        official_side(word)
    except ValueError:
        return False
    return True
