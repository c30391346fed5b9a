"""Pictures by name, wherever they lie: what is read is known, and nothing is read yet."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

MAX_BYTES = 1 << 28
"""No picture that is fetched or lies in an archive may have more bytes than this (256 MiB), packed or unpacked."""


class Reader(Protocol):
    """An opened source."""

    def read(self, key: Any) -> bytes:
        """The content of one picture's file. Raises OSError."""

    def close(self) -> None:
        """Lets go of what is open."""


class Source(Protocol):
    """A place with pictures: small, and pickled to other processes, which open it for themselves."""

    @property
    def in_turn(self) -> bool:
        """Whether pictures must be read by one thread in the order of the listing."""

    def name(self, key: Any) -> str:
        """What the picture is called in results."""

    def stem(self, key: Any) -> str:
        """What a drawing of the picture is called, without a suffix: no path."""

    def path(self, key: Any) -> Path | None:
        """The picture's own file, if it is one."""

    def open(self) -> Reader:
        """Opens the source.

        Raises:
            OSError: it can't be opened.
            ModuleNotFoundError: it needs a package that isn't installed; a note says which.
        """

    def exists(self, key: Any) -> bool:
        """Whether this process finds what holds the picture."""


class Item(NamedTuple):
    """One picture of a listing."""

    source: Source
    key: Any

    @property
    def name(self) -> str:
        """What it is called in results."""
        return self.source.name(self.key)

    @property
    def stem(self) -> str:
        """What a drawing of it is called, without a suffix."""
        return self.source.stem(self.key)

    @property
    def path(self) -> Path | None:
        """Its own file, if it is one."""
        return self.source.path(self.key)


@dataclass(frozen=True)
class Part:
    """Pictures of one source.

    Attributes:
        source: where they lie.
        keys: what each is called there: a list of texts, or a range of numbers, which takes no memory.
    """

    source: Source
    keys: Sequence[Any]


class Listing:
    """Pictures of several sources, in order. In memory there is a text for each, and no more.

    Args:
        parts: in order.

    Attributes:
        parts: those with any pictures.
    """

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self.parts = tuple(part for part in parts if len(part.keys))
        self._starts = [0, *accumulate(len(part.keys) for part in self.parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Item]:
        for part in self.parts:
            for key in part.keys:
                yield Item(part.source, key)

    def between(self, start: int, stop: int) -> Listing:
        """The pictures from number `start`, counted from 0, up to `stop`."""
        found = []
        for number in range(max(0, bisect_right(self._starts, start) - 1), len(self.parts)):
            part, offset = self.parts[number], self._starts[number]
            if offset >= stop:
                break
            found.append(Part(part.source, part.keys[max(0, start - offset) : stop - offset]))
        return Listing(found)

    def fingerprint(self) -> str:
        """SHA-256, in hex, over all sources and names. Files that change under their names are not noticed."""
        total = hashlib.sha256()
        for part in self.parts:
            total.update(f"{part.source!r}\0".encode("utf-8", "surrogatepass"))
            for start in range(0, len(part.keys), 1000):
                keys = part.keys[start : start + 1000]
                text = repr(keys) if isinstance(keys, range) else json.dumps(keys)
                total.update(text.encode() + b"\n")
        return total.hexdigest()
