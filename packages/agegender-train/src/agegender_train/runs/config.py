"""Settings as people write them: NAME=VALUE, a TOML or JSON file, or the config.json of an earlier run.

What is asked is kept as plain values by name, nested for `Settings.augmentation` and the like, until `complete` makes a
`Settings` argument of each: what a network recommends and what a file, ``--set`` and an option say can then be put
together. Imports nothing that is slow to load; see `settings`.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from agegender_train.batches.augmentation import Augmentation
from agegender_train.runs.settings import Settings

Asked: TypeAlias = dict[str, Any]
"""Values by the name of a setting; those of `Augmentation`, `model_options` and `age_loss_options` in dicts of their
own."""

KINDS: Mapping[str, Any] = types.MappingProxyType(get_type_hints(Settings))
"""The type of each setting."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class RecordedStore:
    """A store that an earlier run was trained on.

    Attributes:
        path: where it was; ``None`` if the run didn't record it.
        name: of its dataset.
        fingerprint: of its faces and labels then; ``None`` if it is only named.
    """

    path: Path | None
    name: str
    fingerprint: str | None


@dataclass(frozen=True)
class Config:
    """What a file asks of a training.

    Attributes:
        path: of the file.
        settings: what it sets.
        stores: what to train on; empty if it doesn't say.
    """

    path: Path
    settings: Asked
    stores: Sequence[RecordedStore] = field(default=())


def help_texts(kind: type) -> dict[str, str]:
    """What the docstring of a class says of each of its attributes, by name: one line each."""
    _, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")
    texts: dict[str, str] = {}
    name = ""
    for line in attributes.splitlines():
        if line and not line.startswith(" "):
            break
        if begin := re.match(r"    (\w+): (.*)", line):
            name, texts[begin[1]] = begin[1], begin[2]
        elif name and line.strip():
            texts[name] += f" {line.strip()}"
    return texts


def is_nested(kind: Any) -> bool:
    """Whether a setting of this type has names of its own, as ``augmentation.rotation``."""
    return kind is Augmentation or get_origin(kind) is Mapping


def ask(asked: Asked, name: str, text: str) -> None:
    """Sets a setting in `asked` to what `text` says, by the setting's type.

    Args:
        asked: is changed.
        name: of the setting; a value inside another is named with a dot, as ``augmentation.rotation``.
        text: a number, a word, numbers or words with commas between, or true or false. For `Settings.augmentation`,
            false is no change at all and true is the defaults.

    Raises:
        ValueError: there is no such setting, or the text doesn't fit it.
    """
    outer, _, inner = _known_name(name).partition(".")
    kind = KINDS[outer]
    if inner:
        asked[outer] = {**asked.get(outer, {}), inner: _from_text(f"{outer}.{inner}", _inner_kind(kind), text)}
    elif is_nested(kind) and kind is not Augmentation:
        raise _with_hint(ValueError(f"{outer} holds several values"), f"set one of them: {outer}.NAME={text}")
    else:
        asked[outer] = _checked(outer, kind, _from_text(outer, bool if is_nested(kind) else kind, text))


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Asked:
    """All of both; where both set something `second` holds, in nested settings name by name."""
    both = dict(first)
    for name, value in second.items():
        before = both.get(name)
        both[name] = {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return both


def complete(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked as arguments of `Settings`.

    Raises:
        ValueError: an augmentation is out of its range.
    """
    values = dict(asked)
    if "augmentation" in values:
        values["augmentation"] = Augmentation(**values["augmentation"])
    return values


def read_config(path: Path) -> Config:
    """Reads what a file asks of a training.

    A file holds settings by name, in TOML or JSON, and may name ``stores``, a list of paths. The config.json of a run
    is taken for what that run was asked and trained on.

    Raises:
        OSError: it can't be read.
        ValueError: it is neither TOML nor JSON, or asks for something that there isn't.
    """
    content = _load(path)
    try:
        if isinstance(content.get("settings"), dict) and isinstance(content.get("data"), list):
            return Config(path, _checked_settings(content["settings"]), _recorded(content))
        stores = content.pop("stores", [])
        if not isinstance(stores, list) or not all(isinstance(store, str) for store in stores):
            raise ValueError(f"stores must be a list of paths, got {stores!r}")
        named = [RecordedStore(Path(store), Path(store).name, None) for store in stores]
        return Config(path, _checked_settings(content), named)
    except ValueError as error:
        found = ValueError(f"{path}: {error}")
        for note in getattr(error, "__notes__", ()):
            found.add_note(note)
        raise found from None


def _load(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        content = tomllib.loads(data.decode()) if path.suffix.lower() == ".toml" else json.loads(data)
    except ValueError as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise _with_hint(
            ValueError(f"{path} is not valid {kind}: {error}"), "a file in TOML has a name that ends in .toml"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold settings by name, got a {type(content).__name__}")
    return content


def _recorded(content: Mapping[str, Any]) -> list[RecordedStore]:
    paths = content.get("stores") or [None] * len(content["data"])
    return [
        RecordedStore(None if path is None else Path(path), store["name"], store["fingerprint"])
        for path, store in zip(paths, content["data"], strict=True)
    ]


def _checked_settings(given: Mapping[str, Any]) -> Asked:
    checked: Asked = {}
    for name, value in given.items():
        known = _known_name(name)
        if "." in known:
            raise ValueError(f"{name!r} is no name: write {known.partition('.')[0]!r} as a table of its own")
        checked[known] = _checked(known, KINDS[known], value)
    return checked


def _known_name(name: str) -> str:
    """The name as it is spelled in `Settings`; a dash counts as an underscore."""
    spelled = name.strip().replace("-", "_")
    outer, dot, inner = spelled.partition(".")
    changes = [one.name for one in fields(Augmentation)]
    if outer in KINDS and (not dot or (is_nested(KINDS[outer]) and inner and KINDS[outer] is not Augmentation)):
        return spelled
    if outer in KINDS and KINDS[outer] is Augmentation and inner in changes:
        return spelled
    from agegender_core.spelling import near_names  # only now: it loads NumPy and OpenCV

    names = [*KINDS, *(f"augmentation.{change}" for change in changes)]
    close = near_names(spelled, names) or near_names(spelled.rpartition(".")[2], names)
    close += [f"augmentation.{spelled}"] if spelled in changes else []
    raise _with_hint(
        ValueError(f"there is no setting {name!r}"),
        f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(KINDS)}",
    )


def _inner_kind(kind: Any) -> Any:
    return float if kind is Augmentation else get_args(kind)[1]


def _from_text(name: str, kind: Any, text: str) -> Any:
    text = text.strip()
    if type(None) in get_args(kind):
        if text.lower() in ("", "none"):
            return None
        kind = get_args(kind)[0]
    if kind is Any:
        return _looks_like(text)
    if get_origin(kind) is Sequence:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if get_args(kind)[0] is int and not all(part.isdigit() for part in parts):
            raise ValueError(f"{name} must be whole numbers with commas between, got {text!r}")
        return tuple(_from_text(name, get_args(kind)[0], part) for part in parts)
    if kind is bool and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    elif kind is not bool:
        return text
    raise ValueError(f"{name} must be {_described(kind)}, got {text!r}")


def _looks_like(text: str) -> Any:
    """A number, several with commas between, true or false, or else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for convert in (int, float, lambda several: tuple(int(part) for part in several.split(","))):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _checked(name: str, kind: Any, value: Any) -> Any:
    """A value of a file as a setting of this type."""
    if type(None) in get_args(kind):
        if value is None:
            return None
        kind = get_args(kind)[0]
    if kind is Augmentation and isinstance(value, bool):
        return asdict(Augmentation() if value else Augmentation.none())
    if is_nested(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must hold values by name, got {value!r}")
        for inner in value:
            _known_name(f"{name}.{inner}")
        return {inner: _checked(f"{name}.{inner}", _inner_kind(kind), one) for inner, one in value.items()}
    if kind is Any:
        return tuple(value) if isinstance(value, list) else value
    if get_origin(kind) is Sequence:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name} must be a list, got {value!r}")
        return tuple(_checked(name, get_args(kind)[0], one) for one in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = str if get_origin(kind) is Literal else kind
    if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
        raise ValueError(f"{name} must be {_described(plain)}, got {value!r}")
    return value


def _described(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]


def _with_hint(error: ValueError, hint: str) -> ValueError:
    error.add_note(hint)
    return error
