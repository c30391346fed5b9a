"""The formats that networks are exported to, one file each: a file `<name>.py` here with a `FORMAT` in it is one."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from agegender_train.export.formats._format import Format, Inference, Inputs

__all__ = ["Format", "Inference", "Inputs", "format_names", "get_format"]


def format_names() -> list[str]:
    """The names of all formats, sorted; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    if name not in format_names():
        raise ValueError(f"format must be one of {', '.join(format_names())}, got {name!r}")
    found: Format = import_module(f"{__name__}.{name}").FORMAT
    return found
