"""``agegender eval``: how good models are on aligned stores."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import UserError, require_train
from .options import (
    BatchSize,
    FailUnder,
    Flip,
    Fold,
    Format,
    FormatOption,
    Only,
    Quiet,
    Runtime,
    RuntimeName,
    Seed,
    Split,
    Threads,
    Validation,
    output,
)
from .output import message
from .progress import progress_bars
from .results import print_results, stop_if_worse
from .stores import Part, choose_parts, open_stores
from .targets import refuse_file, refuse_source

if TYPE_CHECKING:
    from agegender_train.evaluation import Evaluation


def evaluate(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores to test on.")],
    output: Annotated[Path, output("REPORT", "Folder of the report; it is made.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A model file, the name of a built-in one, or somebody else's network; may be repeated.",
            show_default="accurate",
        ),
    ] = None,
    split: Split = None,
    fold: Fold = None,
    validation: Validation = None,
    seed: Seed = 0,
    only: Only = None,
    flip: Flip = None,
    realign: Annotated[
        bool, typer.Option("--realign", help="Cut the faces again for a model that wants another size or margin.")
    ] = False,
    faces: Annotated[
        bool, typer.Option("--faces/--no-faces", help="Show faces of the test sets in report.html.")
    ] = True,
    fail_under: FailUnder = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a report that is in REPORT already, with its plots.")
    ] = False,
    batch_size: BatchSize = 256,
    threads: Threads = 1,
    runtime: Runtime = RuntimeName.ONNXRUNTIME,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Test models on aligned stores, and write a report: report.html to look at, figures and predictions for machines.

    Each figure has a 95 % interval, of all faces and by age, gender, ancestry, size and more; models are compared on
    the same faces. Somebody else's network is named insightface:FOLDER or ssrnet:AGE.h5,GENDER.h5, or is an
    ONNX file with an adapter.

    \b
    Examples:
      agegender eval stores/utkface --output reports/default
      agegender eval stores/utkface stores/fgnet --model runs/a/model.onnx --model runs/b/model.onnx --output reports/ab
      agegender eval stores/utkface --model calibrated.onnx --split folds-2 --fold 1 --output reports/other-half
      agegender eval stores/utkface --model insightface:downloads/gender-age --output reports/beside
      agegender eval stores/test --model model.onnx --output report --fail-under age_mae=6.0,gender_accuracy=0.93
    """
    require_train()
    from agegender_core.predict import PICTURE_MODEL
    from agegender_train.baselines import open_model
    from agegender_train.evaluation import evaluate as run
    from agegender_train.report import parse_limits, read_report, refuse_earlier_report, write_report
    from agegender_train.store.face_table import store_names

    limits = parse_limits(fail_under) if fail_under is not None else []
    refuse_file(output)
    refuse_source(output, [*stores, *(Path(text) for text in model or [])])
    refuse_earlier_report(output, replace)
    evaluations: list[Evaluation] = []
    opened = open_stores(stores, quiet)
    parts = choose_parts(opened, Part(split, fold, validation, seed), only)
    texts = model or [PICTURE_MODEL]
    predictors = [open_model(text, threads=threads, flip=flip, runtime=runtime) for text in texts]
    names = _different_names([predictor.name for predictor in predictors], texts)
    with progress_bars(quiet) as new_bar:
        for store, (of, part), test_set in zip(opened, parts, store_names(opened), strict=True):
            for predictor, name in zip(predictors, names, strict=True):
                bar = new_bar(f"{name} on {test_set}", len(of), "faces")
                found = run(
                    predictor,
                    store,
                    batch_size,
                    bar.update,
                    of,
                    part,
                    realign=realign,
                    name=name,
                    test_set=test_set,
                )
                evaluations.append(found)
    write_report(evaluations, output, shlex.join(["agegender", *sys.argv[1:]]), faces, replace=replace)
    report = read_report(output)
    print_results(report.results, report.comparisons, format_, report=str(output))
    if not quiet:
        message(f"{output / 'report.html'} shows it; beside it are metrics.json and predictions.parquet")
    stop_if_worse(report.results, limits)


def _different_names(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """A name for each model, all different: its own, with what was asked for behind it where that isn't enough."""
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise UserError(f"--model {twice[0]} is given twice")
    return [f"{name} ({text})" if names.count(name) > 1 else name for name, text in zip(names, texts, strict=True)]
