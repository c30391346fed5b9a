"""Folders and archives seen as one flat collection of files."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import posixpath
import stat
import struct
import tarfile
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

MAX_FILE_BYTES = 1 << 29
"""No picture and no label file is larger; an archive that says so is broken or hostile."""

_ZIP_SUFFIXES = (".zip",)
_PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
_MAX_RATIO, _MIN_UNPACKED = 100, 1 << 28  # pictures hardly shrink; gzip makes a thousandth of zeros
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


_OUR_SIDE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What stops a source from being read and isn't the source's fault: the rest would fail, too."""


class _Entry(NamedTuple):
    name: str
    size: int
    crc: int | None
    read: Callable[[], bytes]


class Unopened(NamedTuple):
    """A folder or an archive inside a source whose content can't be listed.

    Attributes:
        name: of the archive, or of the folder with a slash behind it, as files are named.
        reason: why.
    """

    name: str
    reason: str


class FileTree:
    """The files of a folder, of archives, or of a folder that holds archives, by name.

    A name is the path inside the folder or archive, with slashes; what is in an archive of a folder stands beside
    the loose files. Hidden files and macOS's ``__MACOSX`` are left out. Where two files have one name, a loose file
    comes before an archived one and an earlier path before a later one; `shadowed` counts the others. Folders and
    archives within a folder that can't be listed are in `unopened`.

    `read` may be called from many threads at once. A tree is pickled as its paths, and opened anew elsewhere.
    """

    def __init__(
        self, paths: tuple[Path, ...], entries: dict[str, _Entry], shadowed: int, unopened: tuple[Unopened, ...] = ()
    ) -> None:
        self._paths = paths
        self._entries = entries
        self.unopened = unopened
        self.names = tuple(sorted(entries))
        self.shadowed = shadowed

    @classmethod
    def open(cls, *paths: str | os.PathLike[str]) -> FileTree:
        """The files under `paths`: folders, .zip and .tar (also .gz, .bz2, .xz) archives, single files.

        Raises:
            OSError: a path does not exist, cannot be read, or is a damaged archive; it is named.
        """
        opened = tuple(Path(path) for path in paths)
        entries: dict[str, _Entry] = {}
        unopened: dict[str, Unopened] = {}
        shadowed = 0
        for path in opened:
            for entry in _list(path):
                name = _clean(entry.name)
                if name is None:
                    continue
                if isinstance(entry, Unopened):
                    slash = "/" if entry.name.endswith("/") else ""
                    unopened.setdefault(name + slash, Unopened(name + slash, entry.reason))
                    continue
                shadowed += name in entries
                entries.setdefault(name, entry)
        return cls(opened, entries, shadowed, tuple(sorted(unopened.values())))

    def __reduce__(self) -> tuple[Callable[..., FileTree], tuple[Path, ...]]:
        return FileTree.open, self._paths

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
        """SHA-256, in hex, over all names and sizes: tells, without reading the files, that they have changed."""
        lines = (f"{name}\0{self._entries[name].size}\n" for name in self.names)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _clean(name: str) -> str | None:
    """The name as it is shown; ``None`` for what is no file of the dataset."""
    # A name that is no UTF-8 comes with surrogates, which neither JSON nor Parquet can hold.
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    name = posixpath.normpath(name.lstrip("/"))
    parts = name.split("/")
    return None if any(part.startswith(".") or part == "__MACOSX" for part in parts) else name


def _list(path: Path) -> Iterator[_Entry | Unopened]:
    if path.is_dir():
        return _list_folder(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise OSError(f"{path} is neither a folder nor a file")  # to open a pipe would wait for ever
    try:
        return _list_archive(path) or iter([_loose(path, path.name)])
    except (*_DAMAGE, ValueError) as error:  # ValueError: a name or a number in a header that is none
        if getattr(error, "errno", None):  # not the archive's fault: no permission, no space to unpack, ...
            raise
        raise OSError(f"{path} is no readable archive ({error}); is its download complete?") from error


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(_ZIP_SUFFIXES + _TAR_SUFFIXES)


def _list_archive(path: Path) -> Iterator[_Entry] | None:
    name = path.name.lower()
    if name.endswith(_ZIP_SUFFIXES):
        return iter(_list_zip(path))
    return iter(_list_tar(path)) if name.endswith(_TAR_SUFFIXES) else None


def _list_folder(root: Path) -> Iterator[_Entry | Unopened]:
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
            elif _is_archive(path) and path.is_file() and not path.name.startswith("."):
                archives.append((prefix, path))
            else:  # dead links and pipes, too: they are counted as unreadable
                yield _loose(path, name)
    for prefix, path in sorted(archives):
        try:
            entries = list(_list(path))
        except OSError as error:
            if error.errno in _OUR_SIDE:
                raise
            yield Unopened(prefix + path.name, str(error) if error.strerror is None else f"{path}: {error.strerror}")
            continue
        for entry in entries:
            yield entry._replace(name=prefix + entry.name)


def _loose(path: Path, name: str) -> _Entry:
    try:
        about = path.stat()
        size = about.st_size if stat.S_ISREG(about.st_mode) else -1
    except OSError:
        size = -1
    if size < 0:
        return _Entry(name, 0, None, lambda: _refuse(f"{path} is no regular file"))
    return _Entry(name, size, None, path.read_bytes)


def _refuse(message: str) -> bytes:
    raise OSError(message)


class _Bytes:
    """Reads pieces of one open file from any thread, and closes it with the last reference to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.lock = threading.Lock()
        weakref.finalize(self, file.close)

    def __call__(self, offset: int, size: int) -> bytes:
        if size > MAX_FILE_BYTES:
            raise OSError("it is larger than any picture")
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self.lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise OSError("it ends before its directory says")
        return data


def _list_tar(path: Path) -> list[_Entry]:
    file = _unpacked(path)
    piece = _Bytes(file)
    entries: dict[str, _Entry] = {}  # of two members with one name the later one counts, as when unpacking
    for member in tarfile.open(fileobj=file, mode="r:"):  # noqa: SIM115
        if member.islnk() and member.linkname in entries:
            entries[member.name] = entries[member.linkname]._replace(name=member.name)
        elif member.isfile():
            where = member.offset_data, member.size
            entries[member.name] = _Entry(member.name, member.size, None, lambda where=where: piece(*where))  # type: ignore[misc]
        elif not member.isdir():
            text = f"{member.name} in {path} is no regular file"
            entries[member.name] = _Entry(member.name, 0, None, lambda text=text: _refuse(text))  # type: ignore[misc]
    return list(entries.values())


def _unpacked(path: Path) -> IO[bytes]:
    unpack = _PACKED.get(path.suffix.lower())
    if unpack is None:
        return path.open("rb")
    # A packed archive can't be read in the middle. The unpacked copy has no name: it is gone with the process.
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with unpack(path) as packed:
            most = max(_MIN_UNPACKED, _MAX_RATIO * path.stat().st_size)
            while piece := packed.read(1 << 20):
                if file.tell() > most:
                    raise tarfile.TarError(f"it unpacks to more than {_MAX_RATIO} times its size")
                file.write(piece)
    except OSError as error:
        file.close()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = OSError(
            f"{tempfile.gettempdir()} is too small to unpack {path}: unpack it yourself, or set TMPDIR to a larger disk"
        )
        full.errno = error.errno
        raise full from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _list_zip(path: Path) -> list[_Entry]:
    file = path.open("rb")
    piece = _Bytes(file)
    archive = zipfile.ZipFile(file)

    def read(info: zipfile.ZipInfo) -> bytes:
        try:
            if info.flag_bits & 1:
                raise OSError("encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                with piece.lock:
                    return archive.read(info)
            # ZipFile.read would make all threads wait for one another, decompression included.
            name_size, extra_size = struct.unpack("<HH", piece(info.header_offset + 26, 4))
            data = piece(info.header_offset + 30 + name_size + extra_size, info.compress_size)
            if info.compress_type == zipfile.ZIP_DEFLATED:
                data = zlib.decompressobj(-15).decompress(data, info.file_size + 1)
            if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
                raise OSError("its checksum is wrong")
            return data
        except (*_DAMAGE, RuntimeError) as error:  # RuntimeError: a compression that Python doesn't know
            raise OSError(f"{info.filename} in {path} can't be read: {error}") from error

    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    return [_Entry(name, info.file_size, info.CRC, lambda info=info: read(info)) for name, info in infos.items()]  # type: ignore[misc]
