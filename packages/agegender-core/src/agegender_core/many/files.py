"""Pictures that are files of their own, addresses on the web, and what could not even be listed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from agegender_core.images import ImageError, read_file

from .fetching import fetch


class ReadBy:
    """A reader with nothing to close."""

    def __init__(self, read: Callable[[Any], bytes]) -> None:
        self.read = read

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Files:
    """Files by their paths, as they were written.

    Attributes:
        base: the folder that relative paths begin at.
    """

    base: str
    in_turn = False

    def name(self, key: str) -> str:
        """The path, as it was written."""
        return key

    def stem(self, key: str) -> str:
        """The file's name without its suffix."""
        return Path(key).stem

    def path(self, key: str) -> Path:
        """The path."""
        return Path(key)

    def open(self) -> ReadBy:
        """Each file is opened when it is read."""
        return ReadBy(self._read)

    def _read(self, key: str) -> bytes:
        path = os.path.join(self.base, key)
        try:
            return read_file(path)
        except ImageError as error:
            raise ImageError(str(error).replace(path, key, 1)) from None

    def exists(self, key: str) -> bool:
        """Whether there is such a file, and it may be read."""
        return os.access(os.path.join(self.base, key), os.R_OK)


@dataclass(frozen=True)
class Addresses:
    """Pictures on the web by their http or https addresses."""

    in_turn = False

    def name(self, key: str) -> str:
        """The address, without a user and a password."""
        return re.sub(r"(?<=://)[^/@]*@", "***@", key)

    def stem(self, key: str) -> str:
        """The last part of its path, without what can't be in a file's name."""
        return plain_stem(unquote(urlsplit(key).path))

    def path(self, key: str) -> None:
        """None: it is no file."""

    def open(self) -> ReadBy:
        """Each is fetched when it is read."""
        return ReadBy(fetch)

    def exists(self, key: str) -> bool:
        """False: nobody asks again."""
        return False


@dataclass(frozen=True)
class Unreadable:
    """Pictures that can't be read, each a pair: its name, and why."""

    in_turn = False

    def name(self, key: tuple[str, str]) -> str:
        """The name."""
        return key[0]

    def stem(self, key: tuple[str, str]) -> str:
        """The name without its suffix."""
        return plain_stem(key[0])

    def path(self, key: tuple[str, str]) -> None:
        """None: it can't be read."""

    def open(self) -> ReadBy:
        """Raises when it is read."""
        return ReadBy(_refuse)

    def exists(self, key: tuple[str, str]) -> bool:
        """False: it can't be read here either."""
        return False


def plain_stem(path: str) -> str:
    """The stem of a path with slashes, with nothing in it that a file's name can't have on any system."""
    return re.sub(r"[^\w.-]+", "_", PurePosixPath(path).stem)[:100].strip(".") or "picture"


def _refuse(key: tuple[str, str]) -> bytes:
    raise OSError(key[1])
