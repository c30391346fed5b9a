"""The files in a zip or tar archive: where each lies, and how it is read from any thread.

An archive and its kind are recognised by the content: names lie (a browser calls an unpacked .tar.gz .tar).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import posixpath
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from agegender_train.datasets.file_kinds import may_be_archive
from agegender_train.files import FilePieces

MAX_FILE_BYTES = 1 << 29
"""No picture and no label file is larger; an archive that says so is broken or hostile."""

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
_PACKED: dict[str, Callable[[IO[bytes]], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_STARTS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
_FOREIGN = ("7z", "RAR", "Zstandard")
_ZIP_SUFFIXES = (".zip",)
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DOCUMENTS = ("[Content_Types].xml", "mimetype")  # of an office document, which is a zip, too
_BLOCK = 512  # a tar's header
_MAX_RATIO, _MIN_UNPACKED = 100, 1 << 28  # pictures hardly shrink; gzip makes a thousandth of zeros
_DEEPEST = 3
_UTF_8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1


class Entry(NamedTuple):
    """One file of a folder or an archive.

    Attributes:
        name: of the file, with slashes.
        size: in bytes.
        crc: CRC-32, where a directory has it.
        read: gives its content.
        open: gives a stream of its content; ``None`` where it can't be an archive.
    """

    name: str
    size: int
    crc: int | None
    read: Callable[[], bytes]
    open: Callable[[], IO[bytes]] | None = None


class Unopened(NamedTuple):
    """A folder or an archive inside a source whose content can't be listed.

    Attributes:
        name: of the archive, or of the folder with a slash behind it, as files are named.
        reason: why.
    """

    name: str
    reason: str


class ForeignArchiveError(OSError):
    """An archive of a kind that isn't read here."""


def refuse(message: str) -> bytes:
    """Raises OSError: stands for reading what can't be read."""
    raise OSError(message)


def claims_to_be_archive(name: str) -> bool:
    """Whether a file is called as the archives are that are read here."""
    return name.lower().endswith(_ZIP_SUFFIXES + _TAR_SUFFIXES)


def list_archive(path: Path) -> list[Entry | Unopened] | None:
    """The files of a .zip or .tar archive, and those of the archives in it beside them.

    Returns:
        ``None`` where `path` is no archive, neither by its content nor by its name.

    Raises:
        ForeignArchiveError: it is another kind of archive.
        ValueError: it is broken; or one of `DAMAGE`.
    """
    file = path.open("rb")
    found = None
    try:
        found = _list(file, path.name, str(path), 1)
    finally:
        if found is None:
            file.close()
    return found


def _list(file: IO[bytes], name: str, label: str, depth: int) -> list[Entry | Unopened] | None:
    claimed = claims_to_be_archive(name)
    kind = _kind(file.read(_BLOCK))
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if kind in _FOREIGN:
        raise ForeignArchiveError(f"{label} is a {kind} archive, which can't be read here: unpack it")
    if kind in _PACKED:
        inner = _packed_kind(file, kind, claimed)
        if inner not in ("tar", "zip") and not claimed:
            return None
        with file, _PACKED[kind](file) as packed:
            unpacked = _unpacked(packed, label, size)
        file, kind = unpacked, inner or "tar"
    if kind is None and not claimed:
        return None
    if kind == "zip" or (kind is None and name.lower().endswith(_ZIP_SUFFIXES)):
        entries = _list_zip(file, label)
        if not claimed and any(entry.name in _DOCUMENTS for entry in entries):
            return None
    else:
        entries = _list_tar(file, label)
    return list(_with_inner(entries, label, depth, size))


def _kind(start: bytes) -> str | None:
    for magic, kind in _STARTS.items():
        if start.startswith(magic):
            return kind
    try:
        tarfile.TarInfo.frombuf(start[:_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return None
    return "tar"


def _packed_kind(file: IO[bytes], kind: str, claimed: bool) -> str | None:
    """What a packed file holds; ``None`` where it is neither an archive nor called one."""
    try:
        with _PACKED[kind](file) as packed:
            return _kind(packed.read(_BLOCK))
    except (*DAMAGE, ValueError):
        if claimed:
            raise
        return None
    finally:
        file.seek(0)


def _with_inner(entries: Iterable[Entry], label: str, depth: int, size: int) -> Iterator[Entry | Unopened]:
    """The files of an archive, and behind them those of the archives in it, as if they lay beside these."""
    inner = []
    for entry in entries:
        if entry.open is not None and _is_archive(entry):
            inner.append(entry)
        else:
            yield entry
    for entry in inner:
        try:
            found = _list_inner(entry, f"{entry.name} in {label}", depth + 1, size)
        except (*DAMAGE, ValueError, RuntimeError) as error:  # RuntimeError: encrypted, or a compression unknown here
            if getattr(error, "errno", None):
                raise
            yield Unopened(entry.name, f"{entry.name} in {label} is no readable archive ({error})")
            continue
        folder = posixpath.dirname(entry.name)
        for item in [entry] if found is None else found:
            yield item if found is None else item._replace(name=posixpath.join(folder, item.name.lstrip("/")))


def _is_archive(entry: Entry) -> bool:
    if claims_to_be_archive(entry.name):
        return True
    assert entry.open is not None
    try:
        with entry.open() as stream:
            return _kind(stream.read(_BLOCK)) is not None
    except (*DAMAGE, ValueError, RuntimeError):
        return False  # to read it will fail, too, and say why


def _list_inner(entry: Entry, label: str, depth: int, size: int) -> list[Entry | Unopened] | None:
    if depth > _DEEPEST:
        raise tarfile.TarError(f"archives lie more than {_DEEPEST} deep in one another")
    assert entry.open is not None
    with entry.open() as stream:
        file = _unpacked(stream, label, size)
    found = None
    try:
        found = _list(file, PurePosixPath(entry.name).name, label, depth)
    finally:
        if found is None:
            file.close()
    return found


def _piece(pieces: FilePieces, offset: int, size: int) -> bytes:
    if size > MAX_FILE_BYTES:
        raise OSError("it is larger than any picture")
    return pieces.read(offset, size)


class _Window(io.RawIOBase):
    """A part of a file as a stream."""

    def __init__(self, pieces: FilePieces, offset: int, size: int) -> None:
        self._pieces, self._offset, self._left = pieces, offset, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._left)
        buffer[:size] = self._pieces.read(self._offset, size)
        self._offset += size
        self._left -= size
        return size


def _list_tar(file: IO[bytes], label: str) -> list[Entry]:
    """The members of an unpacked .tar archive."""
    pieces = FilePieces(file)
    entries: dict[str, Entry] = {}  # of two members with one name the later one counts, as when unpacking
    for member in tarfile.open(fileobj=file, mode="r:"):  # noqa: SIM115
        if member.islnk() and member.linkname in entries:
            entries[member.name] = entries[member.linkname]._replace(name=member.name)
        elif member.isfile():
            entries[member.name] = _tar_entry(pieces, member)
        elif not member.isdir():
            text = f"{member.name} in {label} is no regular file"
            entries[member.name] = Entry(member.name, 0, None, lambda text=text: refuse(text))  # type: ignore[misc]
    return list(entries.values())


def _tar_entry(pieces: FilePieces, member: tarfile.TarInfo) -> Entry:
    offset, size = member.offset_data, member.size

    def opened() -> IO[bytes]:
        return io.BufferedReader(_Window(pieces, offset, size), 1 << 16)

    return Entry(
        member.name, size, None, lambda: _piece(pieces, offset, size), opened if may_be_archive(member.name) else None
    )


def _unpacked(packed: IO[bytes], label: str, size: int) -> IO[bytes]:
    """What a stream gives, as a file to read in the middle of; it has no name, and is gone with the process.

    Args:
        packed: the stream.
        label: what it is called, for messages.
        size: in bytes, of the archive that it comes from.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        most = max(_MIN_UNPACKED, _MAX_RATIO * size)
        while piece := packed.read(1 << 20):
            if file.tell() > most:
                raise tarfile.TarError(f"it unpacks to more than {_MAX_RATIO} times its size")
            file.write(piece)
    except OSError as error:
        file.close()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = OSError(
            f"{tempfile.gettempdir()} is too small to unpack {label}: unpack it yourself, or set TMPDIR to a larger "
            "disk"
        )
        full.errno = error.errno
        raise full from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _list_zip(file: IO[bytes], label: str) -> list[Entry]:
    """The files of a .zip archive."""
    pieces = FilePieces(file)
    archive = zipfile.ZipFile(file)

    def read(info: zipfile.ZipInfo) -> bytes:
        try:
            if info.flag_bits & _ENCRYPTED_FLAG:
                raise OSError("encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                with pieces.lock:
                    return archive.read(info)
            # ZipFile.read would make all threads wait for one another, decompression included.
            name_size, extra_size = struct.unpack("<HH", _piece(pieces, info.header_offset + 26, 4))
            start = info.header_offset + 30 + name_size + extra_size
            data = _piece(pieces, start, info.compress_size)
            if info.compress_type == zipfile.ZIP_DEFLATED:
                data = zlib.decompressobj(-15).decompress(data, info.file_size + 1)
            if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
                raise OSError("its checksum is wrong")
            return data
        except (*DAMAGE, RuntimeError) as error:  # RuntimeError: a compression that Python doesn't know
            raise OSError(f"{info.filename} in {label} can't be read: {error}") from error

    def entry(name: str, info: zipfile.ZipInfo) -> Entry:
        opened = (lambda: archive.open(info)) if may_be_archive(name) else None
        return Entry(name, info.file_size, info.CRC, lambda: read(info), opened)

    named = {_zip_name(info): info for info in archive.infolist()}
    return [entry(name, info) for name, info in named.items() if not name.endswith("/")]


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name with slashes, whatever the system that the archive was made on."""
    name = info.filename
    if not info.flag_bits & _UTF_8_FLAG and not name.isascii():
        with suppress(
            UnicodeError
        ):  # macOS writes UTF-8 and doesn't say so; such bytes are UTF-8 by chance in no other
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")  # .NET's classes wrote them so up to 4.6.1, against the format's 4.4.17
