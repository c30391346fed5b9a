"""Folders and archives seen as one flat collection of files."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from agegender_train.datasets.archive_readers import (
    DAMAGE,
    MAX_FILE_BYTES,
    Entry,
    ForeignArchiveError,
    Unopened,
    claims_to_be_archive,
    list_archive,
    refuse,
)
from agegender_train.datasets.file_kinds import may_be_archive

_OUR_SIDE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What stops a source from being read and isn't the source's fault: the rest would fail, too."""


class FileTree:
    """The files of a folder, of archives, or of a folder that holds archives, by name.

    A name is the path inside the folder or archive, with slashes; the files in an archive of a folder, or of another
    archive, count as files beside it. Hidden files and macOS's ``__MACOSX`` are skipped. Where two files have one name,
    a loose file is preferred to an archived one and an earlier path to a later one; `shadowed` counts the others.
    Folders and archives within a source that can't be listed are in `unopened`.

    `read` may be called from many threads at once. A tree is pickled as its paths, and opened anew elsewhere.

    Attributes:
        unopened: what can't be listed, and why.
        names: of all files, sorted.
        shadowed: how many files are hidden by others of the same name.
        folders: the folders that were listed, by device and inode.
        notes: what a reader noticed in the files that people should know, and of how many rows.
    """

    def __init__(
        self, paths: tuple[Path, ...], entries: dict[str, Entry], shadowed: int, unopened: tuple[Unopened, ...] = ()
    ) -> None:
        self._paths = paths
        self._entries = entries
        self._again: Callable[[], FileTree] = partial(FileTree.open, *paths)
        self.unopened = unopened
        self.names = tuple(sorted(entries))
        self.shadowed = shadowed
        self.folders: frozenset[tuple[int, int]] = frozenset()
        self.notes: Counter[str] = Counter()

    @classmethod
    def open(cls, *paths: str | os.PathLike[str]) -> FileTree:
        """The files under `paths`: folders, .zip and .tar (also .gz, .bz2, .xz) archives, single files.

        An archive is recognised by its content, whatever its name.

        Raises:
            OSError: a path does not exist, cannot be read, or is a damaged archive; it is named.
        """
        opened = tuple(Path(path) for path in paths)
        entries: dict[str, Entry] = {}
        unopened: dict[str, Unopened] = {}
        folders: set[tuple[int, int]] = set()
        shadowed = 0
        for path in opened:
            for entry in _list(path, folders):
                name = _clean(entry.name)
                if name is None:
                    continue
                if isinstance(entry, Unopened):
                    slash = "/" if entry.name.endswith("/") else ""
                    unopened.setdefault(name + slash, Unopened(name + slash, _shown(entry.reason)))
                    continue
                shadowed += name in entries
                entries.setdefault(name, entry)
        tree = cls(opened, entries, shadowed, tuple(sorted(unopened.values())))
        tree.folders = frozenset(folders)
        return tree

    @classmethod
    def of_files(cls, paths: Iterable[str | os.PathLike[str]], files: Mapping[str, Path]) -> FileTree:
        """These files, by the names that they shall have; `paths` are what the user gave."""
        opened = tuple(map(Path, paths))
        tree = cls(opened, {_shown(name): _loose(path, name) for name, path in files.items()}, 0)
        tree._again = partial(FileTree.of_files, opened, dict(files))
        return tree

    def note(self, text: str, rows: int = 1) -> None:
        """Notes something that people should know, and that it is true of so many rows more; 0: of a whole file."""
        self.notes[text] += rows

    def __reduce__(self) -> tuple[Callable[[], FileTree], tuple[()]]:
        return self._again, ()

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __str__(self) -> str:
        return ", ".join(map(str, self._paths))

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            OSError: there is no such file, or it is damaged, encrypted, or larger than `MAX_FILE_BYTES`.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise FileNotFoundError(f"{name} is not in {self}")
        if entry.size > MAX_FILE_BYTES:
            raise OSError(f"{name} has {entry.size} bytes, more than any picture")
        return entry.read()

    def clue(self, name: str) -> tuple[int, int | None]:
        """The size in bytes and, from a zip's directory, the CRC-32 of a file."""
        return self._entries[name].size, self._entries[name].crc

    def signature(self) -> str:
        """SHA-256, in hex, over all names and sizes: shows that files have changed without reading them."""
        lines = (f"{name}\0{self._entries[name].size}\n" for name in self.names)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _shown(text: str) -> str:
    """A text that may have a file's name in it, which is no UTF-8 perhaps: with surrogates neither JSON nor Parquet
    could hold it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _clean(name: str) -> str | None:
    """The name as it is shown; ``None`` for what is no file of the dataset."""
    name = posixpath.normpath(_shown(name).lstrip("/"))
    parts = name.split("/")
    return None if any(part.startswith(".") or part == "__MACOSX" for part in parts) else name


def _list(path: Path, folders: set[tuple[int, int]]) -> Iterator[Entry | Unopened]:
    if path.is_dir():
        return _list_folder(path, folders)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise OSError(f"{path} is neither a folder nor a file")  # to open a pipe would wait for ever
    found = _list_archive(path) if may_be_archive(path.name) else None
    return iter([_loose(path, path.name)] if found is None else found)


def _list_archive(path: Path) -> list[Entry | Unopened] | None:
    try:
        return list_archive(path)
    except ForeignArchiveError:
        raise
    except (*DAMAGE, ValueError) as error:  # ValueError: a name or a number in a header that is none
        if getattr(error, "errno", None):  # not the archive's fault: no permission, no space to unpack, ...
            raise
        raise OSError(f"{path} is no readable archive ({error}); is its download complete?") from error


def _list_folder(root: Path, folders: set[tuple[int, int]]) -> Iterator[Entry | Unopened]:
    archives: list[tuple[str, Path]] = []
    seen: set[tuple[int, int]] = set()  # folders by device and inode: links may make loops
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            about, paths = folder.stat(), sorted(folder.iterdir())
        except OSError as error:
            if not prefix or error.errno in _OUR_SIDE:
                raise
            yield Unopened(prefix, f"{folder} can't be listed: {error.strerror}")
            continue
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for path in paths:
            name = prefix + path.name
            if path.is_dir():
                waiting.append((path, name + "/"))
            elif may_be_archive(path.name) and path.is_file() and not path.name.startswith("."):
                archives.append((prefix, path))
            else:  # dead links and pipes, too: they are counted as unreadable
                yield _loose(path, name)
    folders |= seen
    for prefix, path in sorted(archives):
        try:
            entries = _list_archive(path)
        except OSError as error:
            if error.errno in _OUR_SIDE:
                raise
            if error.errno and not claims_to_be_archive(path.name):  # not permitted, say: nobody knows what it is
                yield _loose(path, prefix + path.name)
                continue
            yield Unopened(prefix + path.name, str(error) if error.strerror is None else f"{path}: {error.strerror}")
            continue
        if entries is None:
            yield _loose(path, prefix + path.name)
            continue
        for entry in entries:
            yield entry._replace(name=prefix + entry.name)


def _loose(path: Path, name: str) -> Entry:
    try:
        about = path.stat()
        size = about.st_size if stat.S_ISREG(about.st_mode) else -1
    except OSError:
        size = -1
    if size < 0:
        return Entry(name, 0, None, lambda: refuse(f"{path} is no regular file"))
    return Entry(name, size, None, path.read_bytes)
