"""``agegender eval``: how good models are on aligned stores."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from agegender_cli.errors import UserError, require_train
from agegender_cli.options import Flip, Quiet
from agegender_cli.parts import Fold, Only, Part, Seed, Split, Validation, choose_parts
from agegender_cli.stores import open_stores

if TYPE_CHECKING:
    from agegender_train.evaluation import Evaluation

Begin: TypeAlias = "Callable[[str, int], Callable[[int, int], None]]"

FailUnder = Annotated[
    str | None,
    typer.Option(
        metavar="FIGURE=NUMBER,...",
        help="Exit code 1 where a figure is worse, such as age_mae=6.0,gender_accuracy=0.93.",
    ),
]


def evaluate(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores to test on.")],
    out: Annotated[Path, typer.Option(metavar="REPORT", help="Folder of the report; it is made.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A model file, a built-in name, or somebody else's network; may be given several times.",
            show_default="mobilenetv2",
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
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a call of the model.")] = 256,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a model.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Test models on aligned stores, and write a report: report.html to look at, figures and predictions for machines.

    Each figure has a 95 % interval, of all faces and by age, gender, ancestry, size and more; models are compared on
    the same faces. Somebody else's network: insightface:FOLDER, ssrnet:AGE.h5,GENDER.h5, or an ONNX file with an
    adapter.

    \b
    Examples:
      agegender eval stores/utkface --out reports/default
      agegender eval stores/utkface stores/fgnet --model runs/a/model.onnx --model runs/b/model.onnx --out reports/ab
      agegender eval stores/utkface --model calibrated.onnx --split folds-2 --fold 1 --out reports/other-half
      agegender eval stores/utkface --model insightface:downloads/gender-age --out reports/beside
      agegender eval stores/test --model model.onnx --out report --fail-under age_mae=6.0,gender_accuracy=0.93
    """
    require_train()
    from agegender_train.baselines import open_model
    from agegender_train.evaluation import evaluate as run
    from agegender_train.report import broken_limits, parse_limits, read_report, write_report
    from agegender_train.store.face_table import store_names

    limits = parse_limits(fail_under) if fail_under is not None else []
    evaluations: list[Evaluation] = []
    opened = open_stores(stores, quiet)
    parts = choose_parts(opened, Part(split, fold, validation, seed), only)
    texts = model or ["mobilenetv2"]
    predictors = [open_model(text, threads=threads, flip=flip) for text in texts]
    names = _told_apart([predictor.name for predictor in predictors], texts)
    with progress_bar(quiet) as begin:
        for store, (of, part), test_set in zip(opened, parts, store_names(opened), strict=True):
            for predictor, name in zip(predictors, names, strict=True):
                tell = begin(f"{name} on {test_set}", len(of))
                found = run(
                    predictor,
                    store,
                    batch_size,
                    tell,
                    of,
                    part,
                    realign=realign,
                    name=name,
                    test_set=test_set,
                )
                evaluations.append(found)
    write_report(evaluations, out, shlex.join(["agegender", *sys.argv[1:]]), faces)
    report = read_report(out)
    show_results(report.results)
    show_comparisons(report.comparisons)
    typer.echo(f"{out / 'report.html'} shows it; beside it are metrics.json and predictions.parquet", err=True)
    stop_if_broken(broken_limits(report.results, limits))


def _told_apart(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """A name for each model, all different: its own, with what was asked for behind it where that isn't enough."""
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise UserError(f"--model {twice[0]} is given twice")
    return [f"{name} ({text})" if names.count(name) > 1 else name for name, text in zip(names, texts, strict=True)]


def stop_if_broken(sentences: Sequence[str]) -> None:
    """Ends the command with exit code 1 if there are sentences about limits that weren't kept."""
    for sentence in sentences:
        typer.echo(f"--fail-under: {sentence}", err=True)
    if sentences:
        raise typer.Exit(1)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Begin]:
    """Within it, a function that begins a bar: takes a title and a total, gives what to call with (done, all)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:

        def begin(title: str, total: int) -> Callable[[int, int], None]:
            task = bar.add_task(title, total=total)
            return lambda done, _: bar.update(task, completed=done)

        yield begin


def show_results(results: Sequence[dict[str, Any]]) -> None:
    """Prints one table of all results, and of each what it is by age band."""
    columns = {
        "n": ("n", "{}"),
        "age MAE": ("age_mae", "{:.2f}"),
        "median": ("age_median", "{:.2f}"),
        "bias": ("age_bias", "{:+.2f}"),
        "CS@5": ("cs5", "{:.1%}"),
        "to group": ("interval_mae", "{:.2f}"),
        "group": ("group_exact", "{:.1%}"),
        "one off": ("group_one_off", "{:.1%}"),
        "gender": ("gender_accuracy", "{:.2%}"),
        "ECE": ("gender_ece", "{:.1%}"),
        "in 90%": ("coverage90", "{:.1%}"),
        "width": ("width90", "{:.1f}"),
    }
    rows = []
    for result in results:
        rows.append((f"{result['model']} on {result['test_set']}", result))
        rows += [(f"  {band}", figures) for band, figures in result["parts"].get("band", {}).items()]
    used = {title: how for title, how in columns.items() if any(row.get(how[0]) is not None for _, row in rows)}
    if "group" not in used:
        used.pop("to group", None)  # of exact ages it is the MAE again
    width = max(len(name) for name, _ in rows)
    typer.echo(" ".join([" " * width, *(f"{title:>8}" for title in used)]))
    for name, figures in rows:
        cells = ("-" if figures.get(key) is None else text.format(figures[key]) for key, text in used.values())
        typer.echo(" ".join([f"{name:<{width}}", *(f"{cell:>8}" for cell in cells)]))


def show_comparisons(comparisons: Sequence[dict[str, Any]]) -> None:
    """Prints which model is better than which, and by how much."""
    from agegender_train.report.words import gain_sentence

    for comparison in comparisons:
        typer.echo(f"\nOn {comparison['n']} faces of {comparison['test_set']} that all predicted:")
        for pair in comparison["pairs"]:
            for figure in ("age_mae", "group_exact", "gender_accuracy"):
                if figure in pair["gains"]:
                    typer.echo(f"  {gain_sentence(pair['first'], pair['second'], figure, pair['gains'][figure])}")
