"""The pictures that a user names: files, folders, globs, stdin, addresses."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from .errors import UserError

if TYPE_CHECKING:
    from agegender_core.faces import Frame

_Identity: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: what it is called in results.
        stem: what a drawing of it is called, without a suffix.
        read: reads it; raises ImageError or OSError.
        path: its file, if it is one.
    """

    name: str
    stem: str
    read: Callable[[], Frame]
    path: Path | None = None


@dataclass(frozen=True)
class Found:
    """What paths lead to.

    Attributes:
        pictures: each once and in order.
        skipped: files in folders that are no pictures.
        left_out: pictures in the folder where the results go.
    """

    pictures: list[Picture]
    skipped: list[Path]
    left_out: list[Path]


def identity(path: str | os.PathLike[str]) -> _Identity | None:
    """What two names of one file or folder have in common, links included; ``None`` if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def find_pictures(paths: Sequence[str], output: Path | None, allow_urls: bool) -> Found:
    """The pictures that `paths` name.

    Args:
        paths: files, folders, globs, "-" for stdin, addresses.
        output: where the results go: what lies there is left out of folders and globs.
        allow_urls: whether pictures may be fetched.

    Raises:
        UserError: a path leads nowhere, or to the folder where the results go.
    """
    search = _Search(None if output is None else identity(output))
    found: dict[str, Picture] = {}
    for text in paths:
        path = Path(text)
        if text == "-":
            found.setdefault(text, _from_stdin())
        elif re.match(r"https?://", text, re.IGNORECASE):
            if not allow_urls:
                raise UserError(f"{text} is an address, and nothing is fetched unasked", hint="Add --allow-urls.")
            found.setdefault(text, _from_address(text))
        elif path.is_dir():
            if search.output is not None and identity(path) == search.output:
                raise UserError(
                    f"--output {output} is the folder of the pictures itself", hint="Choose another folder."
                )
            for one in search.folder(path):
                found.setdefault(one.name, one)
        elif path.exists():
            found.setdefault(str(path), _from_file(path))
        else:
            for one in search.glob(text):
                found.setdefault(one.name, one)
    return Found(list(found.values()), search.skipped, search.left_out)


def _from_file(path: Path) -> Picture:
    def read() -> Frame:
        from agegender_core.images import read_image

        return read_image(path)

    return Picture(str(path), path.stem, read, path)


def _from_stdin() -> Picture:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("- stands for a picture on stdin, but stdin is a terminal", hint="cat a.jpg | agegender ... -")

    def read() -> Frame:
        from agegender_core.images import decode_image

        return decode_image(sys.stdin.buffer.read(), "-")

    return Picture("-", "stdin", read)


def _from_address(address: str) -> Picture:
    name = re.sub(r"(?<=://)[^/@]*@", "***@", address)

    def read() -> Frame:
        from agegender_core.images import decode_image

        from .fetching import fetch

        return decode_image(fetch(address), name)

    stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(unquote(urlsplit(address).path)).stem)[:100]
    return Picture(name, stem or "picture", read)


def _that_fails(error: OSError) -> Picture:
    def read() -> Frame:
        raise error

    return Picture(str(error.filename), Path(str(error.filename)).stem, read)


class _Search:
    """Looks for pictures in folders and globs, and keeps account of the rest."""

    def __init__(self, output: _Identity | None) -> None:
        self.output = output
        self.skipped: list[Path] = []
        self.left_out: list[Path] = []

    def folder(self, top: Path) -> Iterator[Picture]:
        """All below a folder. One that can't be opened gives a picture that can't be read."""
        from agegender_core.images import is_picture_file

        errors: list[OSError] = []
        files: list[tuple[Path, bool]] = []
        for folder, folders, names in os.walk(top, onerror=errors.append):
            here = self.output is not None and folder != str(top) and identity(folder) == self.output
            files += [(Path(folder) / name, here) for name in names]
            if here:
                folders.clear()
        for path, here in sorted(files):
            if path.name.startswith("."):
                continue
            if not is_picture_file(path):
                self.skipped += [] if here else [path]
            elif here or (self.output is not None and identity(path) == self.output):
                self.left_out.append(path)
            else:
                yield _from_file(path)
        yield from map(_that_fails, errors)

    def glob(self, text: str) -> Iterator[Picture]:
        """What a glob matches."""
        from agegender_core.images import has_picture_suffix

        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True)) if os.path.isfile(match)]
        if not matches:
            raise UserError(f"{text}: there is no such file, folder or match")
        parts = Path(text).parts
        literal = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        asked_for = self._is_inside(Path(*parts[:literal]))
        for path in matches:
            if not has_picture_suffix(path):
                self.skipped.append(path)
            elif not asked_for and self._is_inside(path):
                self.left_out.append(path)
            else:
                yield _from_file(path)

    def _is_inside(self, path: Path) -> bool:
        if self.output is None:
            return False
        return any(identity(place) == self.output for place in (path.absolute(), *path.absolute().parents))
