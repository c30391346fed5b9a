"""The options of ``agegender train``, made of `agegender_train.runs.settings.Settings` with its help and defaults.

Here is only how an option is spelled and typed where that doesn't follow from the setting. An option that isn't given
is ``None``: then a file, the network's own recommendation or the default counts, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from .errors import UserError, require_train

if TYPE_CHECKING:
    from agegender_train.runs.config import Asked

_SPELLINGS = {"validation_fraction": "--validation", "cache_bytes": "--cache"}
_GIGABYTES = {"cache_bytes"}
_METAVARS = {
    "model": "NAME",
    "input_size": "PIXELS",
    "weights": "imagenet|none|MODEL|FILE",
    "train_from": "LAYER",
    "age_loss": "LOSS",
    "teachers": "MODEL",
    "validation_fraction": "PART",
    "split": "NAME",
    "fold": "N",
    "device": "auto|cpu|gpu:N",
    "cache_bytes": "GB",
}


def settings_parameters() -> list[Parameter]:
    """A keyword parameter for each setting, with the option that sets it.

    Raises:
        UserError: the training package isn't installed.
    """
    require_train()
    from dataclasses import asdict, fields

    from agegender_train.batches.augmentation import Augmentation
    from agegender_train.runs.config import KINDS, help_texts
    from agegender_train.runs.settings import LEFT_TO_THE_NETWORK, Settings

    texts, defaults = help_texts(Settings), Settings()
    changes = ", ".join(f"{name}={value:g}" for name, value in asdict(Augmentation()).items())
    parameters = []
    for one in fields(Settings):
        kind, metavar = _option_type(KINDS[one.name])
        text = _sentence(texts[one.name])
        if one.name == "augmentation":
            text = f"{text[:-1]}, as rotation=15; without it: {changes}."
        if kind == list[str]:
            text = f"{text[:-1]}; may be repeated."
        default = getattr(defaults, one.name)
        option = typer.Option(
            _spelling(one.name, KINDS[one.name]),
            metavar=_METAVARS.get(one.name, metavar),
            help=text,
            show_default="the network's" if one.name in LEFT_TO_THE_NETWORK else _shown(one.name, default),
        )
        parameters.append(
            Parameter(one.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])
        )
    return parameters


def asked_by_options(options: Mapping[str, Any]) -> Asked:
    """What the options of `settings_parameters` ask for, by their parameters' names.

    Raises:
        ValueError: a value doesn't fit its setting.
    """
    from agegender_train.runs.config import KINDS, ask, is_nested

    asked: Asked = {}
    for name, value in options.items():
        if value is None:
            continue
        if is_nested(KINDS[name]):
            for inner, text in pairs(_spelling(name, KINDS[name]), value):
                ask(asked, f"{name}.{inner}", text)
        elif get_origin(KINDS[name]) is Sequence:
            ask(asked, name, value if isinstance(value, str) else ",".join(value))
        else:
            asked[name] = 1e9 * value if name in _GIGABYTES else value
    return asked


def pairs(option: str, texts: Sequence[str] | None) -> list[tuple[str, str]]:
    """Name and value of each NAME=VALUE that is given to `option`.

    Raises:
        UserError: a text doesn't look like that.
    """
    found = []
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UserError(f"{option} must look like NAME=VALUE, got {text!r}", hint=f"as in {option} NAME=VALUE")
        found.append((name, value))
    return found


def _option_type(kind: Any) -> tuple[Any, str | None]:
    """The type and the metavar of the option for a setting of the type `kind`."""
    from agegender_train.runs.config import is_nested

    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    if is_nested(kind):
        return list[str], "NAME=VALUE"
    if get_origin(kind) is Literal:
        return str, "|".join(get_args(kind))
    if get_origin(kind) is Sequence:
        return (list[str], None) if get_args(kind)[0] is str else (str, "N,N...")
    return kind, None


def _spelling(name: str, kind: Any) -> str:
    """What may be repeated is named in the singular, as --teacher."""
    dashed = f"--{name.replace('_', '-')}"
    return _SPELLINGS.get(name, dashed.removesuffix("s") if _option_type(kind)[0] == list[str] else dashed)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}" if text.endswith(".") else f"{text[0].upper()}{text[1:]}."


def _shown(name: str, default: Any) -> str | bool:
    """The default as a user would write it; not shown where it is nothing."""
    if default in (None, False, "") or isinstance(default, Mapping):
        return False
    if isinstance(default, str):
        return default
    if isinstance(default, Sequence):
        return ",".join(map(str, default)) or False
    if isinstance(default, int | float):
        return f"{default / 1e9 if name in _GIGABYTES else default:g}"
    return False  # what an augmentation is without it stands in the help
