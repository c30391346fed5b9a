"""``agegender train``: an aligned store becomes a model file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.errors import require_train
from agegender_cli.options import Quiet
from agegender_cli.stores import open_stores

if TYPE_CHECKING:
    from agegender_train.training import TrainingProgress


def train(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Aligned stores to learn from.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the run; it is made.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The network.")] = "ssrnet",
    width: Annotated[float | None, typer.Option(help="Multiplies the network's channels.", show_default="1")] = None,
    mix: Annotated[
        int | None,
        typer.Option(help="SSR-Net: numbers that each stage mixes a stream into.", show_default="one a bin"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="imagenet|none|FILE", help="Where the trunk starts.", show_default="the network's"),
    ] = None,
    frozen_epochs: Annotated[
        int | None,
        typer.Option(min=0, help="Epochs at first in which the heads alone learn.", show_default="the network's"),
    ] = None,
    train_from: Annotated[
        str | None, typer.Option(metavar="LAYER", help="First layer that learns after that.", show_default="all learn")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Walks over the faces.")] = 50,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a step.")] = 128,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of AdamW, at its highest.", show_default="the network's")
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="cosine|step|constant", help="Of the learning rate.")] = "cosine",
    step_epochs: Annotated[
        str, typer.Option(metavar="N,N...", help="With step: the rate falls to a tenth after each of these epochs.")
    ] = "30,60",
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 1e-4,
    margin: Annotated[float, typer.Option(help="What the network sees round a face, as a part of its side.")] = 0.4,
    validation: Annotated[float, typer.Option(help="Part of the people that is kept out of training.")] = 0.1,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="A split of the stores to use instead; see agegender split.")
    ] = None,
    fold: Annotated[int | None, typer.Option(metavar="N", help="The split's fold to validate on.")] = None,
    age_loss: Annotated[
        str | None,
        typer.Option(
            metavar="expected|cross-entropy|mean-variance|ordinal|distribution",
            help="What a wrong age costs.",
            show_default="the network's",
        ),
    ] = None,
    age_loss_option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="An argument of the age loss; may be repeated.")
    ] = None,
    age_weight: Annotated[
        float | None, typer.Option(help="Weight of the age loss.", show_default="the network's")
    ] = None,
    gender_weight: Annotated[float, typer.Option(help="Weight of the gender loss.")] = 1.0,
    gender_smoothing: Annotated[float, typer.Option(help="Part of each gender label given to the other gender.")] = 0.0,
    balance: Annotated[float, typer.Option(help="0: each face weighs the same; 1: each age group does.")] = 0.0,
    ema: Annotated[float, typer.Option(help="Momentum of the weights' running average; 0 for none.")] = 0.998,
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Change the faces in each epoch.")] = True,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.")] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|gpu:N", help="Where to train.")] = "auto",
    licence: Annotated[str, typer.Option(help="Licence of the weights, written into the model file.")] = "",
    quiet: Quiet = False,
) -> None:
    """Train a network on aligned stores and export the best weights as RUN/model.onnx.

    The run folder also holds the settings, the history as table and picture, and the checkpoints.

    \b
    Examples:
      agegender train stores/fairface --out runs/first --epochs 30
      agegender train stores/fairface --model mobilenetv2 --out runs/mobilenet --epochs 12
      agegender train stores/fairface stores/utkface --out runs/wide --width 2 --balance 0.5
      KERAS_BACKEND=jax agegender train stores/fairface --out runs/jax
    """
    require_train()
    from agegender_train.augment import Augmentation
    from agegender_train.settings import Settings
    from agegender_train.splits import training_sides

    options = {"width": width, "mix": mix}
    asked: dict[str, Any] = {
        "model_options": {name: value for name, value in options.items() if value is not None},
        "weights": weights,
        "frozen_epochs": frozen_epochs,
        "train_from": train_from,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "step_epochs": _whole_numbers(step_epochs),
        "weight_decay": weight_decay,
        "margin": margin,
        "validation_fraction": validation,
        "split": split,
        "fold": fold,
        "age_loss": age_loss,
        "age_loss_options": _named_numbers(age_loss_option) if age_loss_option else None,
        "age_weight": age_weight,
        "gender_weight": gender_weight,
        "gender_smoothing": gender_smoothing,
        "balance": balance,
        "ema": ema,
        "augmentation": Augmentation() if augment else Augmentation.none(),
        "seed": seed,
        "device": device,
        "licence": licence,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    Settings(**asked)
    opened = open_stores(stores, quiet)
    if split is not None:
        training_sides(opened, split, fold)
    # Loading the framework takes seconds: only after what can be refused at once.
    from agegender_train.models import recommended
    from agegender_train.training import train as run

    try:
        with _progress(quiet) as progress:
            result = run(opened, out, recommended(model, **asked), progress)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {out / 'checkpoints'} keeps the weights of the last whole epoch.", err=True)
        raise typer.Exit(130) from None
    _show(result.metrics, result.best_epoch)
    typer.echo(f"{result.model} is ready", err=True)


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"step_epochs must be whole numbers with commas between, got {text!r}") from None


def _named_numbers(texts: list[str]) -> dict[str, float]:
    named = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            named[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"age_loss_option must look like smoothness=10, got {text!r}") from None
    return named


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[TrainingProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps  {task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("", total=None, epoch="…", state="starting")

        def show(now: TrainingProgress) -> None:
            if now.row is not None and not quiet:
                bar.console.print(_epoch_line(now))
            speed = bar.tasks[task].speed
            rate = f"{speed * now.faces:.0f} faces/s  " if speed else ""
            bar.update(
                task,
                total=now.epochs * now.steps,
                completed=(now.epoch - 1) * now.steps + now.step,
                epoch=f"{now.epoch}/{now.epochs}",
                state=f"{rate}loss {now.loss:.3f}",
            )

        yield show


def _epoch_line(now: TrainingProgress) -> str:
    row = now.row or {}
    figures = {"loss": "loss {:.3f}", "val_loss": "validation {:.3f}", "val_middle_mae": "age {:.2f} years"}
    figures["val_gender_accuracy"] = "gender {:.1%}"
    parts = [text.format(row[name]) for name, text in figures.items() if row.get(name) is not None]
    return f"{now.epoch:>4}  {'  '.join(parts)}"


def _show(metrics: dict[str, Any], best_epoch: int) -> None:
    rows: list[tuple[str, str, str]] = [
        ("best epoch", "", f"{best_epoch}"),
        ("faces measured", "n", "{}"),
        ("age MAE", "age_mae", "{:.2f} years"),
        ("age error to group", "interval_mae", "{:.2f} years"),
        ("age error to middle", "middle_mae", "{:.2f} years"),
        ("age group right", "group_accuracy", "{:.2%}"),
        ("gender right", "gender_accuracy", "{:.2%}"),
    ]
    for title, name, text in rows:
        value = metrics.get(name)
        if value is not None or not name:
            typer.echo(f"{title:<20} {text.format(value) if name else text:>14}")
