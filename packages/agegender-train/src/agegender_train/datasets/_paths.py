"""The files that the paths in a table mean, which somebody wrote on another machine, perhaps of another system."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

Parts: TypeAlias = tuple[str, ...]

_DRIVE = re.compile(r"[A-Za-z]:(?=[/\\])")


class PathUnclearError(ValueError):
    """A path that may mean several files, or the file of another path."""


class WrittenPaths:
    """Finds the files of a tree that the paths of a table mean.

    A path is meant as it is written, from the table's folder. Where there is no such file, the one counts whose name
    ends as the path ends, in either case, so that one of the two is all of that end: so an absolute path is found, one
    of Windows, and one that begins at a folder further up or down. Two files for one path, or two paths for one file,
    are unclear.

    Args:
        files: the tree.
        table: the file with the paths.
        written: all its paths.
    """

    def __init__(self, files: FileTree, table: str, written: Iterable[str]) -> None:
        self._files, self._table = files, table
        self._folder = posixpath.dirname(table)
        self._exact: dict[str, str] = {}
        self._ending: dict[str, list[str]] = {}  # the files that a path may mean by its end
        paths_of: dict[str, set[Parts]] = defaultdict(set)
        for path in dict.fromkeys(written):
            name = self._as_written(path)
            if name is not None:
                self._exact[path] = name
                paths_of[name].add(())
            else:
                self._ending[path] = found = self._find_by_end(path)
                if len(found) == 1:
                    paths_of[found[0]].add(_parts(path))
        self._wanted_twice = {name for name, paths in paths_of.items() if len(paths) > 1}

    def find(self, path: str) -> str:
        """The name in the tree, or, where the file isn't there, what it would be.

        Raises:
            PathUnclearError: it is unclear which file is meant.
        """
        if path in self._exact:
            return self._exact[path]
        found = self._ending[path]
        if not found:
            return self.plain(path)
        if len(found) > 1:
            raise PathUnclearError(f"{path} may be {found[0]} or {found[1]}")
        if found[0] in self._wanted_twice:
            raise PathUnclearError(f"{path} may be {found[0]}, which another path of {self._table} means, too")
        self._files.note(f"{self._table}: paths that are not there as they are written were found by their last parts")
        return found[0]

    def plain(self, path: str) -> str:
        """The name that a file under this path would have in the tree."""
        return posixpath.normpath(posixpath.join(self._folder, path.replace("\\", "/")))

    def _as_written(self, path: str) -> str | None:
        plain = self.plain(path)
        names = (posixpath.normpath(posixpath.join(self._folder, path)), plain, self._composed.get(_composed(plain)))
        return next((name for name in names if name is not None and name in self._files), None)

    @cached_property
    def _composed(self) -> Mapping[str, str]:
        return {_composed(name): name for name in self._files.names}  # macOS takes é apart, others don't

    def _find_by_end(self, path: str) -> list[str]:
        wanted, longest = _parts(path), 0
        found: list[str] = []
        for parts, name in self._by_last_part.get(wanted[-1], ()) if wanted else ():
            length = min(len(parts), len(wanted))
            if length >= longest and parts[-length:] == wanted[-length:]:
                found = [*found, name] if length == longest else [name]
                longest = length
        return found

    @cached_property
    def _by_last_part(self) -> Mapping[str, Sequence[tuple[Parts, str]]]:
        found: dict[str, list[tuple[Parts, str]]] = defaultdict(list)
        for name in self._files.names:
            if parts := _parts(name):
                found[parts[-1]].append((parts, name))
        return found


def find_on_disk(written: Iterable[str], folder: Path) -> Iterator[Path]:
    """The files that the paths of a table in `folder` mean, as `WrittenPaths` understands them, without listing more
    folders than need be."""
    listed = lru_cache(maxsize=1000)(_listed)
    for path in dict.fromkeys(written):
        parts = _split(path)
        if not parts:
            continue
        places = [(folder, parts), (folder.parent, parts), *((folder, parts[start:]) for start in range(1, len(parts)))]
        candidates = (_in_either_case(base, wanted, listed) for base, wanted in places)
        found = folder / path if _is_there(folder / path) else next(filter(None, candidates), None)
        if found is not None:
            yield found


def _in_either_case(
    folder: Path, parts: Sequence[str], listed: Callable[[Path], Mapping[str, Sequence[str]]]
) -> Path | None:
    exact = folder.joinpath(*parts)
    if _is_there(exact):
        return exact
    for part in parts:
        if part == "..":
            folder = folder.parent
            continue
        names = listed(folder).get(_folded(part), ())
        if len(names) != 1:
            return None
        folder = folder / names[0]
    return folder if _is_there(folder) else None


def _is_there(path: Path) -> bool:
    return os.path.lexists(path) and not os.path.isdir(path)


def _listed(folder: Path) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        names = []
    for name in names:
        found[_folded(name)].append(name)
    return found


def _split(path: str) -> list[str]:
    """The parts of a path of any system, without the drive."""
    return [part for part in _DRIVE.sub("", path).replace("\\", "/").split("/") if part not in ("", ".")]


def _parts(path: str) -> Parts:
    return tuple(_folded(part) for part in _split(path) if part != "..")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(_composed(text).casefold())
