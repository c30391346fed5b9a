"""``agegender train``: an aligned store becomes a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli import train_options as options
from agegender_cli.comparing import comparing
from agegender_cli.errors import UserError, require_train
from agegender_cli.options import Quiet, TableFormat, TableJsonOrCsv
from agegender_cli.stores import open_stores
from agegender_cli.training_output import show_folds, show_run, training_bar

if TYPE_CHECKING:
    from agegender_train.store import Store


def train(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores to learn from.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the run, or of the folds' runs; it is made.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The network.")] = "ssrnet",
    width: options.Width = None,
    mix: options.Mix = None,
    model_options: options.ModelOptions = None,
    input_size: options.InputSize = None,
    margin: options.Margin = None,
    weights: options.Weights = None,
    frozen_epochs: options.FrozenEpochs = None,
    train_from: options.TrainFrom = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    accumulate: options.Accumulate = None,
    learning_rate: options.LearningRate = None,
    schedule: options.Schedule = None,
    step_epochs: options.StepEpochs = None,
    weight_decay: options.WeightDecay = None,
    ema: options.Ema = None,
    age_loss: options.AgeLoss = None,
    age_loss_options: options.AgeLossOptions = None,
    age_weight: options.AgeWeight = None,
    gender_weight: options.GenderWeight = None,
    gender_smoothing: options.GenderSmoothing = None,
    teachers: options.Teachers = None,
    teacher_share: options.TeacherShare = None,
    balance: options.Balance = None,
    augment: options.Augment = None,
    augmentation: options.Augmentations = None,
    validation_fraction: options.ValidationFraction = None,
    split: options.Split = None,
    fold: options.Fold = None,
    folds: options.Folds = None,
    fold_seed: options.FoldSeed = None,
    best_by: options.BestBy = None,
    patience: options.Patience = None,
    precision: options.Precision = None,
    device: options.Device = None,
    data_parallel: options.DataParallel = False,
    workers: options.Workers = None,
    cache_bytes: options.CacheBytes = None,
    checkpoint_minutes: options.CheckpointMinutes = None,
    seed: options.Seed = None,
    deterministic: options.Deterministic = False,
    tensorboard: options.Tensorboard = False,
    licence: options.Licence = None,
    format_: TableFormat = TableJsonOrCsv.TABLE,
    quiet: Quiet = False,
) -> None:
    """Train a network on aligned stores and export the best weights as RUN/model.onnx.

    The run folder also holds the settings, the history as table and picture, and the checkpoints. A training that was
    stopped goes on with the same command. With --folds, RUN holds a run for each fold, their figures together in
    folds.csv, folds.json and histories.png, and the best fold's model.onnx.

    \b
    Examples:
      agegender train stores/fairface --out runs/first --epochs 30
      agegender train stores/fairface --model mobilenetv2 --out runs/mobilenet --epochs 12
      agegender train stores/fairface stores/utkface --out runs/wide --model-option width=2 --balance 0.5
      agegender train stores/utkface --folds 10 --out runs/ten-folds --epochs 20
      KERAS_BACKEND=jax agegender train stores/fairface --out runs/jax
    """
    given = dict(locals())  # before there is anything else but the arguments
    require_train()
    from agegender_train.runs.settings import Settings
    from agegender_train.splits import training_sides

    asked = options.asked_settings(given)
    Settings(**asked)
    _check_folds(given)
    opened = open_stores(stores, quiet)
    numbers: list[int] = []
    if folds is not None:
        asked["split"], numbers = _ready(opened, folds, fold_seed, quiet)
    elif split is not None:
        training_sides(opened, split, fold)
    # Loading the framework takes seconds: only after what can be refused at once.
    from agegender_train.models import recommended

    settings = recommended(model, **asked)
    options.check_model_options(model, settings.model_options)
    try:
        with training_bar(quiet) as bar:
            if folds is not None:
                from agegender_train.training.folds import cross_validate

                report = cross_validate(opened, out, settings, numbers, bar.fold)
            else:
                from agegender_train.training import train as run

                result = run(opened, out, settings, bar.step)
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    if folds is not None:
        show_folds(report, format_)
        typer.echo(f"{report.model} is that of fold {report.best_fold}, the best by {settings.best_by}", err=True)
    else:
        show_run(result, format_)
        typer.echo(f"{result.model} is ready", err=True)


def _check_folds(given: dict[str, Any]) -> None:
    if given["folds"] is None:
        if given["fold_seed"] is not None:
            raise UserError("--fold-seed is of no use without --folds")
        return
    others = {"split": "--split", "fold": "--fold", "validation_fraction": "--validation"}
    for name, option in others.items():
        if given[name] is not None:
            raise UserError(
                f"--folds and {option} exclude each other", hint="--folds NAME cross-validates over a split's folds"
            )
    if given["fold_seed"] is not None and not given["folds"].isdigit():
        raise UserError("--fold-seed is of no use with a split that there is", hint="it goes with --folds NUMBER")


def _ready(stores: Sequence[Store], folds: str, seed: int | None, quiet: bool) -> tuple[str, list[int]]:
    """The split of a cross-validation, and its folds."""
    from agegender_train.splits import ready_folds

    with comparing(quiet) as progress:
        return ready_folds(stores, int(folds) if folds.isdigit() else folds, 1 if seed is None else seed, progress)
