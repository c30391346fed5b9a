"""Parts that are found by the name of their file: a file `<name>.py` in a package's folder is the part called `<name>`.

Networks and formats of export are such parts. The lookup knows nothing of either, so it stands below both.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from agegender_core.spelling import with_near_names

__all__ = ["load_part", "part_names"]


def part_names(path: Iterable[str]) -> list[str]:
    """The names of all parts in a package, sorted; imports none of them.

    Args:
        path: the package's ``__path__``. Files whose names begin with an underscore are no parts.
    """
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def load_part(package: str, path: Iterable[str], name: str, what: str) -> ModuleType:
    """The module of the part called `name`.

    Args:
        package: the package's ``__name__``.
        path: its ``__path__``.
        name: of the part.
        what: what the name is called in the message.

    Raises:
        ValueError: there is no such part; the message lists those that there are.
    """
    names = part_names(path)
    if name not in names:
        raise with_near_names(ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}"), name, names)
    return import_module(f"{package}.{name}")
