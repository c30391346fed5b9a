"""``agegender export``: a trained network in the format of another runtime."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, require_train
from .options import Format, FormatOption, Quiet, output
from .output import message, print_figures, scalars
from .progress import phase_bars
from .stores import open_stores
from .targets import refuse_folder, refuse_source

if TYPE_CHECKING:
    from agegender_train.export import Exported


class Target(StrEnum):
    """The formats of `agegender_train.export.formats`."""

    ONNX = "onnx"
    TFLITE = "tflite"
    OPENVINO = "openvino"
    KERAS = "keras"


class Precision(StrEnum):
    """Of the weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder of agegender train, or a .keras file of one.")
    ],
    to: Annotated[Target, typer.Option("--to", help="The format to write.")] = Target.ONNX,
    precision: Annotated[Precision, typer.Option(help="Of the weights; int8 also of the features.")] = Precision.FP32,
    output: Annotated[Path | None, output("FILE", "The file to write.", show_default="in the run folder")] = None,
    calibration: Annotated[
        Path | None, typer.Option(metavar="STORE", help="int8: faces like those that it will see.")
    ] = None,
    calibration_faces: Annotated[int, typer.Option(min=1, help="int8: how many of them.")] = 300,
    seed: Annotated[int, typer.Option(help="int8: of the choice of these faces.")] = 0,
    test: Annotated[
        list[Path] | None,
        typer.Option(metavar="STORE", help="Measure on this store what the change costs; may be repeated."),
    ] = None,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Write a trained network for another runtime, or smaller, after checking that it predicts what Keras predicts.

    \b
    Examples:
      agegender export runs/mine --to tflite
      agegender export runs/mine --to openvino --precision fp16 --output mine.xml
      agegender export runs/mine --precision int8 --calibration stores/fairface --test stores/utkface
    """
    if precision is Precision.INT8 and calibration is None:
        raise UserError(
            "int8 needs faces to measure the ranges of values with",
            hint="--calibration STORE, with pictures like those that the network will see",
        )
    require_train()
    if output is not None:
        refuse_folder(output)
        # Other files may well lie in the run folder; its model.onnx is made anew, with the description that it has.
        read = [run / "config.json", run / "checkpoints"] if run.is_dir() else [run]
        refuse_source(output, [*read, calibration, *(test or [])])
    stores = open_stores([*(test or []), *([calibration] if calibration is not None else [])], quiet)
    # Loading the framework takes seconds: only after what can be refused at once.
    from agegender_train.export import export_run

    with phase_bars(quiet, {}) as progress:
        exported = export_run(
            run,
            to.value,
            precision.value,
            output,
            calibration=stores.pop() if calibration is not None else None,
            calibration_faces=calibration_faces,
            seed=seed,
            tests=stores,
            progress=progress,
        )
    print_figures(
        format_,
        document={**asdict(exported), "files": [str(file) for file in exported.files]},
        rows=_rows(exported),
        table=lambda: _print_table(exported),
    )
    if not quiet:
        message(f"{exported.files[0]} is ready")


def _rows(exported: Exported) -> list[dict[str, Any]]:
    """One row for the file, and one for each side of each test."""
    file = {"file": str(exported.files[0]), "precision": exported.precision}
    how = {"size": exported.size, "milliseconds": exported.milliseconds, **asdict(exported.difference)}
    rows: list[dict[str, Any]] = [{**file, **how}]
    for change in exported.changes:
        for precision, figures in (("fp32", change.before), (exported.precision, change.after)):
            rows.append({**file, "precision": precision, "test_set": change.test_set, **scalars(figures)})
    return rows


_COSTS = {
    "age_mae": ("age MAE", "{:.3f}", "{:+.3f} years", 1),
    "interval_mae": ("age error to group", "{:.3f}", "{:+.3f} years", 1),
    "group_accuracy": ("age group accuracy", "{:.2f} %", "{:+.2f} points", 100),
    "gender_accuracy": ("gender accuracy", "{:.2f} %", "{:+.2f} points", 100),
}


def _print_table(exported: Exported) -> None:
    difference = exported.difference
    rows = [
        ("file", " + ".join(str(file) for file in exported.files)),
        ("size", f"{exported.size / 1e6:.2f} MB"),
        ("differs from Keras", f"at most {difference.outputs:.1e} in an output (over {difference.faces} faces)"),
        *(
            ("", f"at most {most:.4f} {unit}, on average {mean:.4f}")
            for most, mean, unit in (
                (difference.years, difference.mean_years, "years"),
                (difference.p_male, difference.mean_p_male, "in p(male)"),
            )
            if most is not None
        ),
        ("one face takes", f"{exported.milliseconds:.2f} ms on one thread"),
    ]
    for change in exported.changes:
        rows.append((f"on {change.test_set}", f"fp32 -> {exported.precision}, {change.n} faces"))
        exact = change.before.get("age_mae") is not None
        for name, (title, value, difference_, factor) in _COSTS.items():
            before, after = (figures.get(name) for figures in (change.before, change.after))
            # Of exact ages, the error to the group is the age error again.
            if before is None or after is None or (exact and name == "interval_mae"):
                continue
            parts = (value.format(before * factor), value.format(after * factor))
            rows.append((f"  {title}", f"{' -> '.join(parts)}  ({difference_.format((after - before) * factor)})"))
    for title, text in rows:
        typer.echo(f"{title:<22}{text}")
