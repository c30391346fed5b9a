"""``agegender train``: an aligned store becomes a model file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError, require_train
from .options import Format, FormatOption, Quiet, output
from .output import message, print_figures, scalars
from .progress import Bar, phase_bars, progress_bars
from .stores import open_stores
from .tables import FIGURES, cell, figure_cells, print_table, used_figures
from .targets import refuse_file, refuse_source
from .train_options import asked_by_options, pairs

if TYPE_CHECKING:
    from agegender_train.runs.config import Asked, Config
    from agegender_train.runs.fold_report import FoldReport
    from agegender_train.runs.settings import Settings
    from agegender_train.store import Store
    from agegender_train.training import RunResult, TrainingProgress
    from agegender_train.training.folds import FoldProgress


def train(
    output: Annotated[Path, output("RUN", "Folder of the run, or of the folds' runs; it is made.")],
    stores: Annotated[
        list[Path] | None,
        typer.Argument(metavar="STORE...", help="Aligned stores to learn from; those of --config if none is named."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in TOML or JSON, or the config.json of a run, to repeat it."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting by its name in config.json, as augmentation.rotation=15; goes before --config, and an "
            "option goes before both; may be repeated.",
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option("--augment/--no-augment", help="Change the faces in training.", show_default="augment"),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="The same as --model-option width=NUMBER.", show_default="1")
    ] = None,
    mix: Annotated[
        int | None, typer.Option(help="The same as --model-option mix=NUMBER.", show_default="one a bin")
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="N|official|NAME",
            help="Cross-validate: a training for each of N folds, or of the folds of a split.",
        ),
    ] = None,
    fold_seed: Annotated[
        int | None, typer.Option(help="With --folds N: another one gives other folds.", show_default="1")
    ] = None,
    format_: FormatOption = Format.TABLE,
    quiet: Quiet = False,
    **options: Any,
) -> None:
    """Train a network on aligned stores and export the best weights as RUN/model.onnx.

    The run folder also holds the settings, the history as table and picture, and the checkpoints. A training that was
    stopped goes on with the same command. With --folds, RUN holds a run for each fold, their figures together in
    folds.csv, folds.json and histories.png, and the best fold's model.onnx.

    Where nothing is asked, the network's own recommendations hold, and then the defaults.

    \b
    Examples:
      agegender train stores/fairface --output runs/first --epochs 30
      agegender train stores/fairface --model mobilenetv2 --output runs/mobilenet --epochs 12
      agegender train stores/fairface stores/utkface --output runs/wide --model-option width=2 --balance 0.5
      agegender train stores/mine --weights fast --output runs/mine --epochs 5
      agegender train stores/utkface --folds 10 --output runs/ten-folds --epochs 20
      agegender train --config runs/first/config.json --output runs/again
      agegender train --config runs/first/config.json --set augmentation.rotation=15 --output runs/turned
      KERAS_BACKEND=jax agegender train stores/fairface --output runs/jax
    """
    require_train()
    from agegender_train.runs.config import complete, merged, read_config
    from agegender_train.runs.settings import Settings
    from agegender_train.splits import training_sides

    refuse_file(output)
    refuse_source(output, [config, *(stores or ())])
    file = None if config is None else read_config(config / "config.json" if config.is_dir() else config)
    typed = _typed(set_, augment, width, mix, options)
    _check_folds(typed, folds, fold_seed)
    asked = merged(_of_file(file, folds is not None), typed)
    values = complete(asked)
    Settings(**values)
    opened = _open(stores, file, quiet)
    refuse_source(output, [store.path for store in opened])
    if not sum(map(len, opened)):
        raise UserError(
            f"there is nothing to learn from: {' and '.join(str(one.path) for one in opened)} holds no face"
        )
    numbers: list[int] = []
    if folds is not None:
        values["split"], numbers = _ready(opened, folds, fold_seed, quiet)
    elif values.get("split") is not None:
        training_sides(opened, values["split"], values.get("fold"))
    # Loading the framework takes seconds: only after what can be refused at once.
    from agegender_train.models import recommended

    settings = recommended(values.pop("model", None), **values)
    if "batch_size" not in values:
        settings = _with_fitting_batches(opened, settings, numbers, quiet)
    _check_model_options(settings.model, settings.model_options)
    try:
        with _training_bar(quiet) as bar:
            if folds is not None:
                from agegender_train.training.folds import cross_validate

                report = cross_validate(opened, output, settings, numbers, bar.fold)
            else:
                from agegender_train.training import train as train_once

                result = train_once(opened, output, settings, bar.step)
    except KeyboardInterrupt:
        message("Stopped. The same command goes on from there.")
        raise typer.Exit(130) from None
    if folds is not None:
        _print_folds(report, format_)
        message(f"{report.model} is that of fold {report.best_fold}, the best by {settings.best_by}")
    else:
        _print_result(result, format_)
        for head in result.untrained:
            message(_NOT_LEARNED[head])
        message(f"{result.model} is ready")


def _with_fitting_batches(stores: Sequence[Store], settings: Settings, folds: Sequence[int], quiet: bool) -> Settings:
    """The settings, with smaller batches where the faces to learn from don't fill one; says so."""
    from agegender_train.runs.faces import fitting_batch_size

    fitting = fitting_batch_size(stores, settings, folds)
    if fitting != settings.batch_size and not quiet:
        message(f"There are fewer than {settings.batch_size} faces to learn from: they go in batches of {fitting}")
    return replace(settings, batch_size=fitting)


def _typed(
    set_: Sequence[str] | None,
    augment: bool | None,
    width: float | None,
    mix: int | None,
    options: Mapping[str, Any],
) -> Asked:
    """What is asked on the command line itself: by --set, and before that by an option."""
    from agegender_train.runs.config import ask, merged

    by_set: Asked = {}
    for name, value in pairs("--set", set_):
        ask(by_set, name, value)
    shortcuts: Asked = {}
    if augment is not None:
        ask(shortcuts, "augmentation", str(augment))
    for name, number in (("width", width), ("mix", mix)):
        if number is not None:
            ask(shortcuts, f"model_options.{name}", str(number))
    return merged(merged(by_set, shortcuts), asked_by_options(options))


def _of_file(file: Config | None, cross_validates: bool) -> Asked:
    """What the file sets; for a cross-validation, without what it says of the validation faces."""
    if file is None:
        return {}
    replaced = ("split", "fold", "validation_fraction") if cross_validates else ()
    return {name: value for name, value in file.settings.items() if name not in replaced}


def _check_folds(typed: Mapping[str, Any], folds: str | None, fold_seed: int | None) -> None:
    if folds is None:
        if fold_seed is not None:
            raise UserError("--fold-seed is of no use without --folds")
        return
    others = {"split": "--split", "fold": "--fold", "validation_fraction": "--validation"}
    for name, option in others.items():
        if typed.get(name) is not None:
            raise UserError(
                f"--folds and {option} exclude each other", hint="--folds NAME cross-validates over a split's folds"
            )
    if fold_seed is not None and not folds.isdigit():
        raise UserError("--fold-seed is of no use with an existing split", hint="it goes with --folds NUMBER")


def _open(paths: Sequence[Path] | None, file: Config | None, quiet: bool) -> list[Store]:
    """The stores that are named, or else those that the file says.

    Raises:
        UserError: neither names any, or what a run was trained on isn't there any more, or has changed.
    """
    recorded = file.stores if file is not None else []
    fingerprints = {store.fingerprint for store in recorded} - {None}
    if paths:
        opened = open_stores(paths, quiet)
        if file is not None and fingerprints and not quiet:
            for path, store in zip(paths, opened, strict=True):
                if store.fingerprint not in fingerprints:
                    message(f"{path} is not what the run of {file.path} was trained on")
        return opened
    if file is None or not recorded:
        raise UserError("STORE is missing", hint="agegender train STORE... --output RUN")
    hint = f"name the stores to train on: agegender train STORE... --config {file.path}"
    found: list[Path] = []
    for before in recorded:
        if before.path is None:
            raise UserError(f"{file.path} doesn't say where its store {before.name} is", hint=hint)
        if not before.path.exists():
            raise UserError(f"{before.path}, which {file.path} names, isn't there any more", hint=hint)
        found.append(before.path)
    opened = open_stores(found, quiet)
    for before, now in zip(recorded, opened, strict=True):
        if before.fingerprint is not None and now.fingerprint != before.fingerprint:
            raise UserError(
                f"{before.path} has changed since the run of {file.path}: its fingerprint differs",
                hint=f"to train on it as it is now, {hint}",
            )
    return opened


def _ready(stores: Sequence[Store], folds: str, seed: int | None, quiet: bool) -> tuple[str, list[int]]:
    """The split of a cross-validation, and its folds."""
    from agegender_train.splits import ready_folds

    with phase_bars(quiet) as progress:
        return ready_folds(stores, int(folds) if folds.isdigit() else folds, 1 if seed is None else seed, progress)


def _check_model_options(model: str, options: Mapping[str, Any]) -> None:
    """Raises UserError if the network `model` has no argument of one of these names; loads the framework."""
    from inspect import signature

    from agegender_train.models import get_network

    of_training = {"input_size", "weights", "heads"}  # which `train` gives itself
    there = [name for name in signature(get_network(model).build).parameters if name not in of_training]
    if unknown := [name for name in options if name not in there]:
        raise UserError(f"{model} has no argument {unknown[0]!r}", hint=f"it has {', '.join(there)}")


class _TrainingBar:
    """A bar over all steps of a training, or of all trainings of a cross-validation, and a line for each epoch."""

    def __init__(self, bar: Bar, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._completed: int | None = None
        self._fold = ""

    def fold(self, now: FoldProgress) -> None:
        """Takes note of a cross-validation's progress."""
        fold = f"Fold {now.fold}, {now.done + 1} of {now.folds}"
        if fold != self._fold:
            self._fold = fold
            self._say(fold + (": finished before" if now.now is None else ""))
        if now.now is not None:
            self.step(now.now, now.done, now.folds, f"{fold}  ")

    def step(self, now: TrainingProgress, done: int = 0, trainings: int = 1, prefix: str = "") -> None:
        """Takes note of a training's progress, after `done` other `trainings`."""
        if now.row is not None:
            self._say(_epoch_line(now))
        if now.epoch == 0:
            self._bar.update(now.step, now.steps, title=f"{prefix}Teachers look at the faces", per_step=1)
            return
        before = self._completed
        self._completed = ((done * now.epochs) + now.epoch - 1) * now.steps + now.step
        if before is None and now.step + now.epoch > 2:
            self._say(f"Going on in epoch {now.epoch}")
        if before is None or self._completed - before > 1:
            # Else what was done by an earlier process, or is left out, would count as speed.
            self._bar.restart(self._completed)
        self._bar.update(
            self._completed,
            trainings * now.epochs * now.steps,
            title=f"{prefix}Epoch {now.epoch}/{now.epochs}",
            note=f"loss {now.loss:.3f}",
            per_step=now.faces,
        )

    def _say(self, line: str) -> None:
        if not self._quiet:
            message(line)


@contextmanager
def _training_bar(quiet: bool) -> Iterator[_TrainingBar]:
    with progress_bars(quiet) as new_bar:
        yield _TrainingBar(new_bar("Starting", None, "faces"), quiet)


def _epoch_line(now: TrainingProgress) -> str:
    row = now.row or {}
    figures = {"loss": "loss {:.3f}", "val_loss": "validation {:.3f}", "val_middle_mae": "age {:.2f} years"}
    figures["val_gender_accuracy"] = "gender {:.1%}"
    parts = [text.format(row[name]) for name, text in figures.items() if row.get(name) is not None]
    return f"{now.epoch:>4}  {'  '.join(parts)}"


_NOT_LEARNED = {
    "age": "The model gives no ages: there were none to learn from.",
    "gender": "The model gives no genders: there were not both to learn from.",
}
"""What is said of a head that learned nothing."""

_RESULT = {
    "faces measured": ("n", "{}"),
    "age MAE": ("age_mae", "{:.2f} years"),
    "age error to group": ("interval_mae", "{:.2f} years"),
    "age error to middle": ("middle_mae", "{:.2f} years"),
    "age group accuracy": ("group_accuracy", "{:.2%}"),
    "gender accuracy": ("gender_accuracy", "{:.2%}"),
}
"""Name and format of each figure of a finished training."""


def _print_result(result: RunResult, format_: Format) -> None:
    where = {"run": str(result.path), "model": str(result.model), "best_epoch": result.best_epoch}

    def table() -> None:
        lines = {"best epoch": str(result.best_epoch)}
        for title, (name, text) in _RESULT.items():
            if result.metrics.get(name) is not None:
                lines[title] = cell(result.metrics[name], text)
        for title, value in lines.items():
            typer.echo(f"{title:<20} {value:>14}")

    print_figures(
        format_,
        document={**where, "metrics": result.metrics},
        rows=[{**where, **scalars(result.metrics)}],
        table=table,
    )


def _print_folds(report: FoldReport, format_: Format) -> None:
    """Prints a cross-validation's figures; as JSON and CSV what is in its files."""

    def table() -> None:
        names = used_figures(report.rows)
        rows = []
        for row in report.rows:
            counts = (row["n"], row["epochs"], row["best_epoch"])
            rows.append([str(row["fold"]), *map(str, counts), *figure_cells(row, names)])
        rows.append(["mean", "", "", "", *figure_cells(report.mean, names)])
        rows.append(["std", "", "", "", *(text.lstrip("+") for text in figure_cells(report.std, names))])
        print_table(["fold", "n", "epochs", "best", *(FIGURES[name][0] for name in names)], rows)

    document = json.loads((report.path / "folds.json").read_text("utf-8"))
    print_figures(format_, document=document, rows=report.rows, table=table)
