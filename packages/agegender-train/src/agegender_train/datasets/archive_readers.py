"""The files in a zip or tar archive: where each lies, and how it is read from any thread."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from agegender_train.files import FilePieces

MAX_FILE_BYTES = 1 << 29
"""No picture and no label file is larger; an archive that says so is broken or hostile."""

_PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
_MAX_RATIO, _MIN_UNPACKED = 100, 1 << 28  # pictures hardly shrink; gzip makes a thousandth of zeros


class Entry(NamedTuple):
    """One file of a folder or an archive: its name, bytes, CRC-32 where a directory has it, and how to read it."""

    name: str
    size: int
    crc: int | None
    read: Callable[[], bytes]


def refuse(message: str) -> bytes:
    """Raises OSError: stands for reading what can't be read."""
    raise OSError(message)


def _piece(pieces: FilePieces, offset: int, size: int) -> bytes:
    if size > MAX_FILE_BYTES:
        raise OSError("it is larger than any picture")
    return pieces.read(offset, size)


def list_tar(path: Path) -> list[Entry]:
    """The members of a .tar archive, packed or not; raises one of `DAMAGE`, or ValueError, where it is broken."""
    file = _unpacked(path)
    pieces = FilePieces(file)
    entries: dict[str, Entry] = {}  # of two members with one name the later one counts, as when unpacking
    for member in tarfile.open(fileobj=file, mode="r:"):  # noqa: SIM115
        if member.islnk() and member.linkname in entries:
            entries[member.name] = entries[member.linkname]._replace(name=member.name)
        elif member.isfile():
            where = member.offset_data, member.size
            entries[member.name] = Entry(member.name, member.size, None, lambda where=where: _piece(pieces, *where))  # type: ignore[misc]
        elif not member.isdir():
            text = f"{member.name} in {path} is no regular file"
            entries[member.name] = Entry(member.name, 0, None, lambda text=text: refuse(text))  # type: ignore[misc]
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


def list_zip(path: Path) -> list[Entry]:
    """The files of a .zip archive; raises one of `DAMAGE`, or ValueError, where it is broken."""
    file = path.open("rb")
    pieces = FilePieces(file)
    archive = zipfile.ZipFile(file)

    def read(info: zipfile.ZipInfo) -> bytes:
        try:
            if info.flag_bits & 1:
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
            raise OSError(f"{info.filename} in {path} can't be read: {error}") from error

    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    return [Entry(name, info.file_size, info.CRC, lambda info=info: read(info)) for name, info in infos.items()]  # type: ignore[misc]
