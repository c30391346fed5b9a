"""``agegender calibrate``: a model file whose uncertainty holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import UserError, require_train
from .options import (
    BatchSize,
    Flip,
    Fold,
    Format,
    FormatOption,
    Quiet,
    Seed,
    Split,
    Threads,
    Validation,
    output,
)
from .output import message, print_figures, scalars
from .progress import progress_bars
from .stores import Part, choose_parts, open_stores
from .tables import cell, print_table
from .targets import refuse_folder, refuse_source

if TYPE_CHECKING:
    from agegender_train.calibration import CalibrationResult


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Aligned stores that it never learned from.")
    ],
    output: Annotated[Path, output("FILE", "The calibrated model file.")],
    split: Split = None,
    fold: Fold = None,
    validation: Validation = None,
    seed: Seed = 0,
    correct: Annotated[
        bool, typer.Option("--correct", help="Also move ages and genders, where that clearly helps on these faces.")
    ] = False,
    stretch_last_group: Annotated[
        bool,
        typer.Option(
            "--stretch-last-group",
            help="Also move the ages of an open last group, such as FairFace's more than 70, evenly over it: for "
            "models that make all in it too young. Not with --correct.",
        ),
    ] = False,
    flip: Flip = None,
    flip_unsure: Annotated[
        bool,
        typer.Option("--flip-unsure", help="Look a second time only at faces whose gender the network is unsure of."),
    ] = False,
    batch_size: BatchSize = 256,
    threads: Threads = 1,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Fit what a model says of its own errors to labelled faces, and write it into a copy of the model file.

    That is the 90 % interval and the spread of the age, and the probability of the gender. The network and the ages
    stay as they are. Whether faces are also looked at mirrored is written into the copy as it was here. The model must
    not have been trained on these faces, and the calibration holds for faces like them: some hundreds at least, better
    thousands.

    \b
    Examples:
      agegender calibrate runs/first/model.onnx stores/fairface --validation 0.1 --output calibrated.onnx
      agegender calibrate model.onnx stores/utkface --split folds-2 --fold 0 --output calibrated.onnx
    """
    require_train()
    from agegender_train.calibration import calibrate_model

    if correct and stretch_last_group:
        raise UserError("--correct and --stretch-last-group both move ages: give one of them")
    if flip_unsure and flip is not None:
        raise UserError(f"--flip-unsure and --{'' if flip else 'no-'}flip exclude each other")
    refuse_folder(output)
    refuse_source(output, [model, *stores])
    opened = open_stores(stores, quiet)
    rows = [of for of, _ in choose_parts(opened, Part(split, fold, validation, seed))]
    with progress_bars(quiet) as new_bar:
        result = calibrate_model(
            model,
            opened,
            output,
            rows=rows,
            correct=correct,
            stretch=stretch_last_group,
            flip="unsure" if flip_unsure else flip,
            batch_size=batch_size,
            threads=threads,
            progress=new_bar(model.name, sum(len(of) for of in rows), "faces").update,
        )
    sides = {"before": result.before, "after": result.after}
    print_figures(
        format_,
        document={"model": str(result.path), "heads": result.heads, **sides},
        rows=[{"model": side, **scalars(figures)} for side, figures in sides.items()],
        table=lambda: _print_table(result),
    )
    if not quiet:
        _say_what_is_missing(result)


def _print_table(result: CalibrationResult) -> None:
    figures = {
        "age MAE": ("age_mae", "{:.2f}"),
        "age bias": ("age_bias", "{:+.2f}"),
        "age error to group": ("interval_mae", "{:.2f}"),
        "in 90 %": ("coverage90", "{:.1%}"),
        "in 90 % at least": ("coverage90_least", "{:.1%}"),
        "in 90 % at most": ("coverage90_most", "{:.1%}"),
        "width of 90 %": ("width90", "{:.1f}"),
        "gender accuracy": ("gender_accuracy", "{:.2%}"),
        "gender ECE": ("gender_ece", "{:.2%}"),
    }
    if result.after["age_mae"] is not None:
        for name in ("age error to group", "in 90 % at least", "in 90 % at most"):
            del figures[name]
    rows = [
        [title, cell(result.before[name], text), cell(result.after[name], text)]
        for title, (name, text) in figures.items()
        if (result.before[name], result.after[name]) != (None, None)
    ]
    print_table(["", "before", "after"], rows)


def _say_what_is_missing(result: CalibrationResult) -> None:
    for head, name, what in (("age", "interval", "an age"), ("gender", "temperature", "a gender, and both genders")):
        if result.heads[head].get("trained") is False:
            message(f"The {head} is not calibrated: the model has not learned any.")
        elif name not in result.heads[head]:
            message(f"The {head} is not calibrated: that needs 100 faces with {what}.")
    message(f"{result.path} is ready; test it on other faces: on these, its figures are a little too good")
