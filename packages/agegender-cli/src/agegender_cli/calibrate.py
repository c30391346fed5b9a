"""``agegender calibrate``: a model file whose uncertainty holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agegender_cli.errors import require_train
from agegender_cli.eval import progress_bar
from agegender_cli.options import Flip, Quiet
from agegender_cli.parts import Fold, Part, Seed, Split, Validation, choose_parts
from agegender_cli.stores import open_stores

if TYPE_CHECKING:
    from agegender_train.calibration import CalibrationResult


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Aligned stores that it never learned from.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The calibrated model file; may be MODEL itself.")],
    split: Split = None,
    fold: Fold = None,
    validation: Validation = None,
    seed: Seed = 0,
    correct: Annotated[
        bool, typer.Option("--correct", help="Also move ages and genders, where that clearly helps on these faces.")
    ] = False,
    flip: Flip = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a call of the model.")] = 256,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Fit what a model says of its own errors to labelled faces, and write it into a copy of the model file.

    Whether it looks at faces mirrored, too, goes into the copy as it was here.

    The 90 % interval and the spread of the age, and the probability of the gender. The network and the ages stay as
    they are. No face may be one that the model was trained on, and it holds for faces like these: some hundreds at
    least, better thousands.

    \b
    Examples:
      agegender calibrate runs/first/model.onnx stores/fairface --validation 0.1 --out calibrated.onnx
      agegender calibrate model.onnx stores/utkface --split folds-2 --fold 0 --out calibrated.onnx
    """
    require_train()
    from agegender_train.calibration import calibrate_model

    opened = open_stores(stores, quiet)
    rows = [of for of, _ in choose_parts(opened, Part(split, fold, validation, seed))]
    with progress_bar(quiet) as begin:
        result = calibrate_model(
            model,
            opened,
            out,
            rows=rows,
            correct=correct,
            flip=flip,
            batch_size=batch_size,
            threads=threads,
            progress=begin(model.name, sum(len(of) for of in rows)),
        )
    _show(result, quiet)


def _show(result: CalibrationResult, quiet: bool) -> None:
    figures = {
        "age MAE": ("age_mae", "{:.2f}"),
        "age bias": ("age_bias", "{:+.2f}"),
        "age error to group": ("interval_mae", "{:.2f}"),
        "in 90 %": ("coverage90", "{:.1%}"),
        "in 90 % at least": ("coverage90_least", "{:.1%}"),
        "in 90 % at most": ("coverage90_most", "{:.1%}"),
        "width of 90 %": ("width90", "{:.1f}"),
        "gender right": ("gender_accuracy", "{:.2%}"),
        "gender ECE": ("gender_ece", "{:.2%}"),
    }
    if result.after["age_mae"] is not None:
        for name in ("age error to group", "in 90 % at least", "in 90 % at most"):
            del figures[name]
    typer.echo(f"{'':<20} {'before':>8} {'after':>8}")
    for title, (name, text) in figures.items():
        values = [side[name] for side in (result.before, result.after)]
        if any(value is not None for value in values):
            cells = ["-" if value is None else text.format(value) for value in values]
            typer.echo(f"{title:<20} {cells[0]:>8} {cells[1]:>8}")
    if quiet:
        return
    for head, name, what in (("age", "interval", "an age"), ("gender", "temperature", "a gender, and both genders")):
        if name not in result.heads[head]:
            typer.echo(f"The {head} is not calibrated: that needs 100 faces with {what}.", err=True)
    typer.echo(f"{result.path} is ready; test it on other faces: these flatter it a little", err=True)
