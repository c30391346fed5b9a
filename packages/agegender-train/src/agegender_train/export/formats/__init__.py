"""The formats that networks are exported to, one file each: a file `<name>.py` here with a `FORMAT` in it is one."""

from __future__ import annotations

from agegender_train.export.formats._format import Format, Inference, Inputs
from agegender_train.registry import load_part, part_names

__all__ = ["Format", "Inference", "Inputs", "format_names", "get_format"]


def format_names() -> list[str]:
    """The names of all formats, sorted; imports none of them."""
    return part_names(__path__)


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    found: Format = load_part(__name__, __path__, name, "format").FORMAT
    return found
