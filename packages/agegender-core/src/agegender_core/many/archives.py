"""Pictures in .zip and .tar archives, read in place: nothing is unpacked to the disk, and no name in them is a path.

What an archive's directory says of a picture (where its bytes lie) is kept as its key, so that another process reads
any of them without going through the directory again. Archives in archives are not opened.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, ClassVar

from agegender_core.images import has_picture_suffix

from .files import Unreadable, plain_stem
from .listing import MAX_BYTES, Part, Source
from .places import open_place, place_exists

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_PACKED: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, RuntimeError, OverflowError),  # of numbers in headers that are none, and of versions to come
)
_MAX_RATIO, _MIN_UNPACKED = 100, 1 << 28  # pictures hardly shrink; gzip makes a thousandth of zeros
_MAX_HEADER = 1 << 20  # long names take some hundred bytes
_LOCAL_HEADER = 30
_ENCRYPTED, _STORED, _DEFLATED = 0x1, 0, 8
_MIB = 1 << 20


def is_archive_name(name: str) -> bool:
    """Whether a file is called as the archives are that are read here."""
    return name.lower().endswith(_ZIP + _TAR)


@dataclass
class Listed:
    """What is in an archive.

    Attributes:
        parts: its pictures, and what of them can't be read.
        skipped: names of files in it that are no pictures.
    """

    parts: list[Part] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def list_archive(place: str, base: str) -> Listed:
    """The pictures in an archive, in its own order. Of two of one name the later one counts, as when unpacking.

    Hidden files and macOS's ``__MACOSX`` are left out. An archive that is broken gives what could be listed up to
    there, and behind it one unreadable picture with the archive's name, and why.

    Args:
        place: path or address of the archive.
        base: the folder that relative paths begin at.

    Raises:
        ModuleNotFoundError: the package for such addresses is not installed.
    """
    zipped = place.lower().endswith(_ZIP)
    source: Source = ZipMembers(place, base) if zipped else TarMembers(place, base)
    keys: dict[str, tuple[Any, ...]] = {}
    unreadable: dict[str, str] = {}
    skipped: list[str] = []
    broken = []
    try:
        with open_place(place, base) as file:
            for key, problem in _zip_members(file) if zipped else _tar_members(file, keys):
                name = str(key[-1])
                parts = PurePosixPath(name).parts
                if any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts):
                    continue
                if not has_picture_suffix(PurePosixPath(name)):
                    skipped.append(source.name(key))
                    continue
                keys.pop(name, None)
                unreadable.pop(name, None)
                if problem:
                    unreadable[name] = problem
                else:
                    keys[name] = key
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        broken = [(place, f"the archive is broken: {reason}" if not isinstance(error, FileNotFoundError) else reason)]
    failing = [(f"{place}/{name}", problem) for name, problem in unreadable.items()]
    return Listed([Part(source, list(keys.values())), Part(Unreadable(), failing + broken)], skipped)


@dataclass(frozen=True)
class _Members:
    """Members of an archive.

    Attributes:
        place: its path or address.
        base: the folder that relative paths begin at.
    """

    place: str
    base: str
    in_turn: ClassVar[bool] = True

    def name(self, key: tuple[Any, ...]) -> str:
        """The archive's name, and the member's behind it."""
        return f"{self.place}/{key[-1]}"

    def stem(self, key: tuple[Any, ...]) -> str:
        """The last part of the member's name, without what can't be in a file's name."""
        return plain_stem(key[-1].replace("\\", "/"))

    def path(self, key: tuple[Any, ...]) -> None:
        """None: it is no file of its own."""

    def exists(self, key: tuple[Any, ...]) -> bool:
        """Whether the archive is there."""
        return place_exists(self.place, self.base)


class ZipMembers(_Members):
    """Members of a .zip archive; a key is (offset of its header, packed size, size, method, CRC-32, name)."""

    def open(self) -> _ZipReader:
        """Opens the archive."""
        return _ZipReader(open_place(self.place, self.base))


class TarMembers(_Members):
    """Members of a .tar archive, packed or not; a key is (offset of its bytes, size, name)."""

    def open(self) -> _TarReader:
        """Opens the archive."""
        return _TarReader(open_place(self.place, self.base))


class _ZipReader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, key: tuple[int, int, int, int, int, str]) -> bytes:
        offset, packed_size, size, method, crc, _ = key
        header = _exactly(self._file, offset, _LOCAL_HEADER)
        if header[:4] != b"PK\3\4":
            raise OSError("the archive is broken: there is no header where its directory says")
        name_size, extra_size = struct.unpack("<HH", header[26:30])
        data = _exactly(self._file, offset + _LOCAL_HEADER + name_size + extra_size, packed_size)
        if method == _DEFLATED:
            try:
                data = zlib.decompressobj(-15).decompress(data, size + 1)
            except zlib.error as error:
                raise OSError(f"the archive is broken: {error}") from None
        if len(data) != size or zlib.crc32(data) != crc:
            raise OSError("the archive is broken: its checksum is wrong")
        return data

    def close(self) -> None:
        self._file.close()


class _TarReader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stream = _unpacking(file)

    def read(self, key: tuple[int, int, str]) -> bytes:
        offset, size, _ = key
        try:
            return _exactly(self._stream, offset, size)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise OSError(f"the archive is broken: {error}") from None

    def close(self) -> None:
        self._stream.close()
        self._file.close()


def _exactly(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise OSError("the archive is cut off")
    return data


def _unpacking(file: IO[bytes]) -> IO[bytes]:
    """The stream of what a file holds, unpacked while it is read."""
    start = file.read(6)
    file.seek(0)
    for magic, opened in _PACKED:
        if start.startswith(magic):
            return opened(file)  # type: ignore[no-any-return]
    return file


def _too_large(size: int) -> str:
    return f"it has {size:,} bytes, more than any picture ({MAX_BYTES // _MIB} MiB)" if size > MAX_BYTES else ""


def _zip_members(file: IO[bytes]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The key of each member, and why it can't be read, or nothing."""
    for info in zipfile.ZipFile(file).infolist():
        name = info.filename
        if info.is_dir():
            continue
        problem = _too_large(max(info.file_size, info.compress_size))
        if info.flag_bits & _ENCRYPTED:
            problem = "it is encrypted"
        elif info.compress_type not in (_STORED, _DEFLATED):
            problem = f"it is compressed in a way that is not read here (method {info.compress_type})"
        yield (info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC, name), problem


def _tar_members(file: IO[bytes], earlier: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """As `_zip_members`. A file that had several names stands once, and its other names lead to it (`earlier`).

    Symbolic links, pipes and devices are left out.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    stream: Any = _unpacking(file)
    most = max(_MIN_UNPACKED, _MAX_RATIO * size) if stream is not file else size
    with tarfile.open(fileobj=_Headers(stream), mode="r:") as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            archive.members = []  # it would keep them all
            if member.offset_data + member.size > most:
                raise tarfile.ReadError(
                    f"it unpacks to more than {_MAX_RATIO} times its size" if stream is not file else "it is cut off"
                )
            if member.isreg():
                problem = "it is a sparse file" if member.issparse() else _too_large(member.size)
                yield (member.offset_data, member.size, member.name), problem
            elif member.islnk():
                offset, size, _ = earlier.get(member.linkname, (0, 0, ""))
                yield (offset, size, member.name), "" if offset else "it is a link to what is not in the archive"


class _Headers:
    """A stream for `tarfile`, which reads a header's names and numbers as a whole, however long it claims to be."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("it has a header without an end")
        return self._stream.read(size)  # type: ignore[no-any-return]
