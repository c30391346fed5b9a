"""The options of ``agegender train``, and the settings that they ask for.

Each is named as the field of `agegender_train.runs.settings.Settings` that it sets, and is ``None`` where nothing is
asked: then the network's own choice counts. What is shown as default stands here twice, since the command line must
be able to show its help without the training package; a test holds that it is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from agegender_cli.errors import UserError

Width = Annotated[float | None, typer.Option(help="Same as --model-option width=NUMBER.", show_default="1")]
Mix = Annotated[int | None, typer.Option(help="Same as --model-option mix=NUMBER.", show_default="one a bin")]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option("--model-option", metavar="NAME=VALUE", help="An argument of the network; may be repeated."),
]
InputSize = Annotated[
    int | None, typer.Option(metavar="PIXELS", help="Side of the input.", show_default="the network's")
]
Margin = Annotated[
    float | None, typer.Option(help="What the network sees round a face, as a part of its side.", show_default="0.4")
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="imagenet|none|FILE",
        help="Where the trunk starts; or RUN/checkpoints/best.keras, to go on from a finished training.",
        show_default="the network's",
    ),
]
FrozenEpochs = Annotated[
    int | None,
    typer.Option(min=0, help="Epochs at first in which the heads alone learn.", show_default="the network's"),
]
TrainFrom = Annotated[
    str | None, typer.Option(metavar="LAYER", help="First layer that learns after that.", show_default="all learn")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Walks over the faces.", show_default="50")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Faces a batch.", show_default="128")]
Accumulate = Annotated[int | None, typer.Option(min=1, help="Batches whose gradients make one step.", show_default="1")]
LearningRate = Annotated[float | None, typer.Option(help="Of AdamW, at its highest.", show_default="the network's")]
Schedule = Annotated[
    str | None, typer.Option(metavar="cosine|step|constant", help="Of the learning rate.", show_default="cosine")
]
StepEpochs = Annotated[
    str | None,
    typer.Option(
        metavar="N,N...", help="With step: the rate falls to a tenth after each of these epochs.", show_default="30,60"
    ),
]
WeightDecay = Annotated[float | None, typer.Option(help="Of AdamW; 0 makes it Adam.", show_default="0.0001")]
Ema = Annotated[
    float | None, typer.Option(help="Momentum of the weights' running average; 0 for none.", show_default="0.998")
]
AgeLoss = Annotated[
    str | None,
    typer.Option(
        metavar="expected|cross-entropy|mean-variance|ordinal|distribution",
        help="What a wrong age costs.",
        show_default="the network's",
    ),
]
AgeLossOptions = Annotated[
    list[str] | None,
    typer.Option("--age-loss-option", metavar="NAME=NUMBER", help="An argument of the age loss; may be repeated."),
]
AgeWeight = Annotated[float | None, typer.Option(help="Weight of the age loss.", show_default="the network's")]
GenderWeight = Annotated[float | None, typer.Option(help="Weight of the gender loss.", show_default="1")]
GenderSmoothing = Annotated[
    float | None, typer.Option(help="Part of each gender label given to the other gender.", show_default="0")
]
Teachers = Annotated[
    list[str] | None,
    typer.Option("--teacher", metavar="MODEL", help="Also learn what this model says of each face; may be repeated."),
]
TeacherShare = Annotated[
    float | None, typer.Option(min=0, max=1, help="How much of that; the labels have the rest.", show_default="0.5")
]
Balance = Annotated[
    float | None, typer.Option(help="0: each face weighs the same; 1: each age group does.", show_default="0")
]
Augment = Annotated[
    bool | None,
    typer.Option("--augment/--no-augment", help="Change the faces in each epoch.", show_default="augment"),
]
Augmentations = Annotated[
    list[str] | None,
    typer.Option("--augmentation", metavar="NAME=NUMBER", help="How far, as rotation=15; may be repeated."),
]
ValidationFraction = Annotated[
    float | None,
    typer.Option("--validation", help="Part of the people that is kept out of training.", show_default="0.1"),
]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="A split of the stores to use instead; see agegender split.")
]
Fold = Annotated[int | None, typer.Option(metavar="N", help="The split's fold to validate on.")]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="N|official|NAME", help="Cross-validate: a training for each of N folds, or of those of a split."
    ),
]
FoldSeed = Annotated[int | None, typer.Option(help="With --folds N: another one gives other folds.", show_default="1")]
BestBy = Annotated[
    str | None,
    typer.Option(
        metavar="val_loss|middle_mae|age_mae|gender_accuracy",
        help="What makes an epoch, and a fold, the best.",
        show_default="val_loss",
    ),
]
Patience = Annotated[
    int | None, typer.Option(min=0, help="End after so many epochs without a better one; 0: never.", show_default="0")
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="float32|mixed_bfloat16|mixed_float16", help="What the layers compute in.", show_default="float32"
    ),
]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|gpu:N", help="Where to train.", show_default="auto")]
DataParallel = Annotated[
    bool, typer.Option("--data-parallel", help="Share each batch out to all devices, of other processes too.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that make batches.", show_default="2")]
CacheBytes = Annotated[
    float | None, typer.Option("--cache", metavar="GB", help="Memory for decoded faces.", show_default="4")
]
CheckpointMinutes = Annotated[
    float | None,
    typer.Option(min=0, help="How often, within an epoch, the state to go on from is kept.", show_default="10"),
]
Seed = Annotated[int | None, typer.Option(help="Of all that is left to chance.", show_default="0")]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Equal settings give equal weights to the last bit.")
]
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Also write the history as TensorBoard's events.")]
Licence = Annotated[str | None, typer.Option(help="Licence of the weights, written into the model file.")]


def asked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command's arguments that set something, as `Settings` takes them, but for the network's name.

    Args:
        given: the command's arguments by name.

    Raises:
        ValueError: a value that isn't what it should look like.
        UserError: a change of faces that there isn't.
    """
    from dataclasses import fields

    from agegender_train.runs.settings import Settings

    named = {name: given[name] for name in ("width", "mix") if given[name] is not None}
    turned = {
        "model_options": {**_named("--model-option", given["model_options"], _value), **named} or None,
        "step_epochs": _whole_numbers(given["step_epochs"]),
        "age_loss_options": _named("--age-loss-option", given["age_loss_options"], float) or None,
        "augmentation": _augmentation(given["augment"], given["augmentation"]),
        "cache_bytes": None if given["cache_bytes"] is None else 1e9 * given["cache_bytes"],
    }
    values = {**given, **turned}
    names = [field.name for field in fields(Settings) if field.name != "model"]
    return {name: values[name] for name in names if values[name] is not None}


def check_model_options(model: str, options: Mapping[str, Any]) -> None:
    """Raises UserError if the network `model` has no argument of one of these names; loads the framework."""
    from inspect import signature

    from agegender_train.models import get_network

    of_training = {"input_size", "weights", "heads"}  # which `train` gives itself
    there = [name for name in signature(get_network(model).build).parameters if name not in of_training]
    if unknown := [name for name in options if name not in there]:
        raise UserError(f"{model} has no argument {unknown[0]!r}", hint=f"it has {', '.join(there)}")


def _augmentation(augment: bool | None, texts: Sequence[str] | None) -> Any:
    from dataclasses import asdict

    from agegender_train.batches.augment import Augmentation

    if augment is None and not texts:
        return None
    strengths = _named("--augmentation", texts, float)
    start = Augmentation.none() if augment is False else Augmentation()
    if unknown := [name for name in strengths if name not in asdict(start)]:
        raise UserError(f"--augmentation knows no {unknown[0]!r}", hint=f"there is {', '.join(asdict(start))}")
    return Augmentation(**{**asdict(start), **strengths})


def _named(option: str, texts: Sequence[str] | None, convert: Any) -> dict[str, Any]:
    named = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            if not (name and equals and value):
                raise ValueError
            named[name] = convert(value)
        except ValueError:
            kind = "NUMBER" if convert is float else "VALUE"
            raise ValueError(f"{option} must look like NAME={kind}, got {text!r}") from None
    return named


def _value(text: str) -> Any:
    """A number, a list of numbers with commas between, true or false, or else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for convert in (int, float, lambda several: tuple(int(part) for part in several.split(","))):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _whole_numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"step_epochs must be whole numbers with commas between, got {text!r}") from None
