"""``agegender export``: a trained network in the format that another runtime reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.errors import UserError, require_train
from agegender_cli.options import Quiet, TableOrJson
from agegender_cli.stores import open_stores

if TYPE_CHECKING:
    from agegender_train.export import Exported


class ArtefactFormat(StrEnum):
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
    format_: Annotated[ArtefactFormat, typer.Option("--format", help="What to write.")] = ArtefactFormat.ONNX,
    precision: Annotated[Precision, typer.Option(help="Of the weights; int8 also of the features.")] = Precision.FP32,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write.", show_default="in the run folder")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(metavar="STORE", help="int8: faces of the kind that will be met.")
    ] = None,
    calibration_faces: Annotated[int, typer.Option(min=1, help="int8: how many of them.")] = 300,
    seed: Annotated[int, typer.Option(help="int8: of the choice of these faces.")] = 0,
    test: Annotated[
        list[Path] | None,
        typer.Option(metavar="STORE", help="Tell what the artefact costs on this store; may be repeated."),
    ] = None,
    report: Annotated[TableOrJson, typer.Option(help="How the result is printed.")] = TableOrJson.TABLE,
    quiet: Quiet = False,
) -> None:
    """Write a trained network for another runtime, or smaller, after checking that it says what Keras says.

    \b
    Examples:
      agegender export runs/mine --format tflite
      agegender export runs/mine --format openvino --precision fp16 --out mine.xml
      agegender export runs/mine --precision int8 --calibration stores/fairface --test stores/utkface
    """
    if precision is Precision.INT8 and calibration is None:
        raise UserError(
            "int8 needs faces to measure the ranges of values with",
            hint="--calibration STORE, with a store of the kind of pictures that the network will meet",
        )
    require_train()
    stores = open_stores([*(test or []), *([calibration] if calibration is not None else [])], quiet)
    # Loading the framework takes seconds: only after what can be refused at once.
    from agegender_train.export import export_run

    with _progress(quiet) as told:
        exported = export_run(
            run,
            format_.value,
            precision.value,
            out,
            calibration=stores.pop() if calibration is not None else None,
            calibration_faces=calibration_faces,
            seed=seed,
            tests=stores,
            progress=told,
        )
    if report is TableOrJson.JSON:
        typer.echo(json.dumps({**asdict(exported), "files": [str(file) for file in exported.files]}, indent=2))
    else:
        _show(exported)
    typer.echo(f"{exported.files[0]} is ready", err=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        tasks: dict[str, Any] = {}

        def told(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=total)
            bar.update(tasks[title], completed=done)

        yield told


_COSTS = {
    "age_mae": ("age MAE", "{:.3f}", "{:+.3f} years", 1),
    "interval_mae": ("age error to group", "{:.3f}", "{:+.3f} years", 1),
    "group_accuracy": ("age group right", "{:.2f} %", "{:+.2f} points", 100),
    "gender_accuracy": ("gender right", "{:.2f} %", "{:+.2f} points", 100),
}


def _show(exported: Exported) -> None:
    difference = exported.difference
    rows = [
        ("file", " + ".join(str(file) for file in exported.files)),
        ("size", f"{exported.size / 1e6:.2f} MB"),
        ("differs from Keras", f"at most {difference.outputs:.1e} in an output (over {difference.faces} faces)"),
        ("", f"at most {difference.years:.4f} years, on average {difference.mean_years:.4f}"),
        ("", f"at most {difference.p_male:.4f} in p(male), on average {difference.mean_p_male:.4f}"),
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
