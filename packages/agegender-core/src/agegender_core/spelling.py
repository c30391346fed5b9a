"""Words for messages: numbers of things, and what somebody may have meant by a name that is nearly right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

_Error = TypeVar("_Error", bound=Exception)


def count(number: int, what: str) -> str:
    """A number of things in words.

    >>> count(1, "face"), count(2000, "face")
    ('1 face', '2,000 faces')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are spelled nearly like `name`, up to three, the nearest first; case doesn't count.

    >>> near_names("Farface", ["utkface", "fairface", "adience"])
    ['fairface']
    """
    plain = {one.lower(): one for one in names}
    return [plain[one] for one in get_close_matches(name.lower(), list(plain), 3, 0.6)]


def with_near_names(error: _Error, name: str, names: Iterable[str]) -> _Error:
    """The error, with the note "did you mean ...?" where a name is near; the command line shows notes as hints."""
    if near := near_names(name, names):
        error.add_note(f"did you mean {' or '.join(near)}?")
    return error
