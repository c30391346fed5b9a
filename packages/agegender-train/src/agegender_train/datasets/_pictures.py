"""Finding the pictures that a label file speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agegender_train.datasets.base import MISSING_LABEL, SECOND_COPY, Rejection, is_picture

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree


class Pictures:
    """The pictures of a `FileTree` by the last parts of their names, whatever the folders above.

    Args:
        files: where they are.
        parts: how many parts of a name, from its end, tell one picture from another; all when ``None``.
        any_suffix: whether the suffix is no matter either, as for a set that somebody has encoded anew.
    """

    def __init__(self, files: FileTree, parts: int | None, any_suffix: bool = True) -> None:
        self._parts = parts
        self._any_suffix = any_suffix
        self._names = [name for name in files.names if is_picture(name)]
        self._by_tail: dict[str, str] = {}
        self._first: dict[str, str] = {}  # of a second copy
        self._used: set[str] = set()
        self._keys: set[str] = set()
        for name in self._names:
            first = self._by_tail.setdefault(self._tail(name), name)
            if first != name:
                self._first[name] = first

    def find(self, *labels: str) -> str | None:
        """The name of the picture that a label means by the first of these names that is there, or ``None``.

        What is there by the others counts as a second picture for the same label.
        """
        found = [name for label in labels if (name := self._by_tail.get(self._tail(label))) is not None]
        if not found:
            return None
        self._used.add(found[0])
        for other in found[1:]:
            self._first.setdefault(other, found[0])
        return found[0]

    def key(self, name: str) -> str:
        """`name`, with ``#2`` and so on behind it when a label has had it already."""
        key, count = name, 1
        while key in self._keys:
            count += 1
            key = f"{name}#{count}"
        self._keys.add(key)
        return key

    def left_over(self) -> Iterator[Rejection]:
        """A rejection for each picture that no label has asked for."""
        for name in self._names:
            if name not in self._used:
                yield (
                    Rejection(name, SECOND_COPY, self._first[name])
                    if name in self._first
                    else Rejection(name, MISSING_LABEL)
                )

    def _tail(self, name: str) -> str:
        tail = name if self._parts is None else "/".join(name.split("/")[-self._parts :])
        return tail[: tail.rindex(".")] if self._any_suffix and is_picture(tail) else tail
