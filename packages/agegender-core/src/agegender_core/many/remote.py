"""Pictures at addresses that fsspec opens: ``s3://bucket/folder``, ``gs://``, ``memory://`` and others."""

from __future__ import annotations

import errno
import glob
import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from agegender_core.images import has_picture_suffix

from .files import ReadBy, plain_stem
from .listing import MAX_BYTES, Part
from .places import explained, file_system


@dataclass(frozen=True)
class Remote:
    """Pictures by their addresses, all of one kind.

    Whoever opens it needs the package for such addresses, and credentials of its own: none are in here.
    """

    scheme: str
    in_turn = False

    def name(self, key: str) -> str:
        """The address."""
        return key

    def stem(self, key: str) -> str:
        """The last part of the address, without what can't be in a file's name."""
        return plain_stem(key)

    def path(self, key: str) -> None:
        """None: it is no file of this machine."""

    def open(self) -> ReadBy:
        """Finds the file system; each picture is fetched when it is read."""
        files, _ = file_system(f"{self.scheme}://")
        return ReadBy(lambda key: _fetch(files, key))

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        files, path = file_system(key)
        with explained(key):
            return bool(files.exists(path))


def _fetch(files: Any, address: str) -> bytes:
    with explained(address):
        path = files._strip_protocol(address)
        try:
            data: bytes = files.cat_file(path, start=0, end=MAX_BYTES + 1)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address) from None
        except PermissionError:
            raise
        except OSError:
            if files.info(path)["size"]:
                raise
            return b""  # S3 finds no range in an empty file
    if len(data) > MAX_BYTES:
        raise OSError(f"it has more than {MAX_BYTES >> 20} MiB")
    return data


def list_address(address: str) -> tuple[list[str], list[str]]:
    """The files at an address: itself, what its glob matches, or all below it in order of their names.

    Hidden files are left out.

    Returns:
        The addresses of pictures, of whatever else ends as `address` does where it names a file or is a glob for
        files that are no pictures, and those of files that are no pictures.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it can't be listed.
        ModuleNotFoundError: the package for such addresses is not installed; a note says which.
    """
    files, path = file_system(address)
    with explained(address):
        if glob.has_magic(path):
            found, named = sorted(one for one in files.glob(path) if files.isfile(one)), True
        elif files.isdir(path):
            found, named = sorted(files.find(path)), False
        else:
            found, named = [path] if files.exists(path) else [], True
        addresses = [files.unstrip_protocol(one) for one in found]
    if not addresses:
        raise FileNotFoundError(f"{address}: there is no such file, folder or match")
    suffix = PurePosixPath(path).suffix.lower()
    pictures: list[str] = []
    skipped: list[str] = []
    for one in addresses:
        name = PurePosixPath(one)
        if name.name.startswith("."):
            continue
        wanted = has_picture_suffix(name) or (named and name.suffix.lower() == suffix)
        (pictures if wanted else skipped).append(one)
    return pictures, skipped


def remote_part(addresses: list[str]) -> Part:
    """Pictures at addresses of one kind."""
    return Part(Remote(addresses[0].partition("://")[0]), addresses)
