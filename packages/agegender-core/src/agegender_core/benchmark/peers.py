"""Beside other libraries: a ratio only where both give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Any, NamedTuple

from .hardware import describe_machine
from .timing import time_by_turns


class Sides(NamedTuple):
    """Our way and theirs to the same result, ready to be timed.

    Attributes:
        ours: a call that gives our result.
        theirs: a call that gives theirs.
        difference: what differs in two such results, in words; "" where they are equal within the tolerance.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    difference: Callable[[Any, Any], str]


@dataclass(frozen=True)
class Comparison:
    """A task that another library can do as well.

    Attributes:
        what: what is done, with its size.
        peer: what the other way is called.
        module: the module that has to be installed for it.
        equal: what counts as equal, such as "the same boxes".
        make: loads the other library and prepares both sides; called only where it is installed. It raises
            `PeerUnavailableError` where something else is missing, such as its weights.
    """

    what: str
    peer: str
    module: str
    equal: str
    make: Callable[[], Sides]


class PeerUnavailableError(Exception):
    """A library is installed, but can't be compared with here; the text says why."""


def compare_with_peers(comparisons: Iterable[Comparison], seconds: float = 0.5) -> dict[str, Any]:
    """Both sides of each comparison, by turns; those whose library isn't installed are named and left out.

    The results are compared before anything is timed. Where they differ, both times are given but no ratio: a library
    that computes something else may well be faster.

    Args:
        comparisons: such as `known_peers` gives.
        seconds: time to spend on each side.

    Returns:
        A mapping with "machine" (see `describe_machine`) and "rows": a list of mappings with what, peer, version,
        status ("compared", "absent" or "failed"), reason (why not, else ``None``), equal (whether the results are;
        ``None`` unless compared), output (in words), "ours" and "theirs" (median_ms, p10_ms, p90_ms, min_ms, runs) and
        "ratio" (median, p10 and p90 of their time by ours), ``None`` where the outputs differ.
    """
    return {"machine": describe_machine(), "rows": [_compared(comparison, seconds) for comparison in comparisons]}


def _compared(comparison: Comparison, seconds: float) -> dict[str, Any]:
    row: dict[str, Any] = {"what": comparison.what, "peer": comparison.peer, "version": None, "status": "absent"}
    row |= {"reason": None, "equal": None, "output": None, "ours": None, "theirs": None, "ratio": None}
    if find_spec(comparison.module) is None:
        return row | {"reason": f"{comparison.module} isn't installed"}
    try:
        row["version"] = _version(comparison.module)
        sides = comparison.make()
        difference = sides.difference(sides.ours(), sides.theirs())
        times = time_by_turns(sides.ours, sides.theirs, seconds)
    except PeerUnavailableError as error:
        return row | {"status": "absent", "reason": str(error)}
    except Exception as error:
        # Other people's code, in any version: if one fails, the others are still compared.
        return row | {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    if difference:
        times["ratio"] = None
    said = f"differs: {difference}" if difference else comparison.equal
    return row | {"status": "compared", "equal": not difference, "output": said, **times}


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _version(module: str) -> str | None:
    for name in _distributions().get(module, ()):
        return version(name)
    # The metadata of some wheels, such as dlib-bin's, don't list their modules.
    return getattr(import_module(module), "__version__", None)
