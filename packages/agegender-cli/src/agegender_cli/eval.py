"""``agegender eval``: how good models are on aligned stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from agegender_cli.errors import require_train
from agegender_cli.options import Flip, Quiet
from agegender_cli.parts import Fold, Seed, Split, Validation, choose_part
from agegender_cli.stores import open_stores

if TYPE_CHECKING:
    from agegender_train.evaluation import Evaluation

Begin: TypeAlias = "Callable[[str, int], Callable[[int, int], None]]"


def evaluate(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores to test on.")],
    out: Annotated[Path, typer.Option(metavar="REPORT", help="Folder of the report; it is made.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help="A model file; may be given several times.", show_default="built-in"),
    ] = None,
    split: Split = None,
    fold: Fold = None,
    validation: Validation = None,
    seed: Seed = 0,
    flip: Flip = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a call of the model.")] = 256,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a model.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Test models on aligned stores: age error, gender accuracy, how far both can be trusted, and all by age band.

    ECE is how far the gender's probability is off on average; "in 90%" is the share of ages within the interval that
    shall hold 90 % of them, for a model that was calibrated.

    REPORT/metrics.json holds the figures, REPORT/predictions.parquet the prediction of every face.

    \b
    Examples:
      agegender eval stores/utkface --out reports/default
      agegender eval stores/utkface stores/fgnet --model runs/a/model.onnx --model runs/b/model.onnx --out reports/ab
      agegender eval stores/utkface --model calibrated.onnx --split folds-2 --fold 1 --out reports/other-half
    """
    require_train()
    from agegender_core.predict import load_predictor
    from agegender_train.evaluation import evaluate as run
    from agegender_train.evaluation import write_report

    evaluations: list[Evaluation] = []
    opened = open_stores(stores, quiet)
    rows, part = choose_part(opened, split, fold, validation, seed)
    paths: list[Path] | list[None] = model or [None]
    predictors = [load_predictor(path, threads=threads, flip=flip) for path in paths]
    with progress_bar(quiet) as begin:
        for store, of in zip(opened, rows, strict=True):
            for predictor in predictors:
                title = f"{predictor.name} on {store.name}"
                evaluations.append(run(predictor, store, batch_size, begin(title, len(of)), of, part))
    write_report(evaluations, out)
    _show(evaluations)
    typer.echo(f"{out} holds metrics.json and predictions.parquet", err=True)


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


def _show(evaluations: list[Evaluation]) -> None:
    """One table of all results, and for each result one by age band."""
    columns = {
        "n": ("n", "{}"),
        "age MAE": ("age_mae", "{:.2f}"),
        "bias": ("age_bias", "{:+.2f}"),
        "CS@5": ("cs5", "{:.1%}"),
        "to group": ("interval_mae", "{:.2f}"),
        "in group": ("group_accuracy", "{:.1%}"),
        "gender": ("gender_accuracy", "{:.2%}"),
        "ECE": ("gender_ece", "{:.1%}"),
        "in 90%": ("coverage90", "{:.1%}"),
        "width": ("width90", "{:.1f}"),
    }
    rows = []
    for evaluation in evaluations:
        rows.append((f"{evaluation.model} on {evaluation.store.name}", evaluation.metrics))
        rows += [(f"  {band}", figures) for band, figures in evaluation.metrics["bands"].items()]
    used = {title: how for title, how in columns.items() if any(row.get(how[0]) is not None for _, row in rows)}
    if "in group" not in used:
        used.pop("to group", None)  # of exact ages it is the MAE again
    width = max(len(name) for name, _ in rows)
    typer.echo(" ".join([" " * width, *(f"{title:>8}" for title in used)]))
    for name, figures in rows:
        cells = ("-" if figures.get(key) is None else text.format(figures[key]) for key, text in used.values())
        typer.echo(" ".join([f"{name:<{width}}", *(f"{cell:>8}" for cell in cells)]))
