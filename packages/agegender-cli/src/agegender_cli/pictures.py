"""The pictures that a user names: files, folders, globs, archives, Parquet files, lists, addresses, stdin."""

from __future__ import annotations

import codecs
import glob
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import UserError

if TYPE_CHECKING:
    from agegender_core.many.files import ReadBy
    from agegender_core.many.listing import Listing, Part, Source

_Identity: TypeAlias = tuple[int, int]
_LOCAL = ("memory",)


@dataclass(frozen=True)
class Found:
    """What paths lead to.

    Attributes:
        listing: the pictures, each once and in order.
        skipped: files in folders and archives that are no pictures.
        left_out: pictures in the folder where the results go.
    """

    listing: Listing
    skipped: list[str] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def identity(path: str | os.PathLike[str]) -> _Identity | None:
    """What two names of one file or folder have in common, links included; ``None`` if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def find_pictures(paths: Sequence[str], output: Path | None, allow_urls: bool, lists: Sequence[str] = ()) -> Found:
    """The pictures that `paths` and `lists` name, those of the paths first.

    Args:
        paths: files, folders, globs, archives, Parquet files, "-" for stdin, addresses.
        output: where the results go: what lies there is left out of folders and globs.
        allow_urls: whether pictures may be fetched.
        lists: text files with a path or address a line, relative to the list's folder; "-" for one on stdin.

    Raises:
        UserError: a path leads nowhere, or to the folder where the results go; an address, and nothing may be fetched;
            a package is missing.
    """
    from agegender_core.many.listing import Listing

    search = _Search(None if output is None else identity(output), output, allow_urls)
    try:
        for text in paths:
            search.path(text)
        for text in lists:
            search.names_in(text)
    except ModuleNotFoundError as error:
        raise UserError(str(error), hint=" ".join(getattr(error, "__notes__", ())) or None) from None
    return Found(Listing(search.parts), search.skipped, search.left_out)


@dataclass(frozen=True)
class Stdin:
    """One picture on stdin."""

    in_turn = True

    def name(self, key: str) -> str:
        """ "-"."""
        return key

    def stem(self, key: str) -> str:
        """ "stdin"."""
        return "stdin"

    def path(self, key: str) -> None:
        """None."""

    def open(self) -> ReadBy:
        """It is open."""
        from agegender_core.many.files import ReadBy

        return ReadBy(lambda _: sys.stdin.buffer.read())

    def exists(self, key: str) -> bool:
        """True."""
        return True


class _Search:
    """Looks for pictures, and keeps account of the rest."""

    def __init__(self, output: _Identity | None, output_path: Path | None, allow_urls: bool) -> None:
        from agegender_core.many.files import Addresses, Files

        self.output, self._output_path, self._allow_urls = output, output_path, allow_urls
        self.skipped: list[str] = []
        self.left_out: list[Path] = []
        self.parts: list[Part] = []
        self._seen: set[str] = set()
        # One object each, that what is added one after another is known as one source: there may be millions.
        self._absolute, self._relative = Files(""), Files(os.getcwd())
        self._web = Addresses()
        self._remote: dict[str, Source] = {}
        self._adding: Source | None = None
        self._keys: list[Any] = []

    def path(self, text: str) -> None:
        """What one word of the command line leads to."""
        from agegender_core.sources.addresses import is_url

        path = Path(text)
        if text == "-":
            self._stdin()
        elif is_url(text) and not path.exists():
            self._address(text)
        elif path.is_dir():
            if self.output is not None and identity(path) == self.output:
                raise UserError(
                    f"--output {self._output_path} is the folder of the pictures itself", hint="Choose another folder."
                )
            self._folder(path)
        elif path.exists():
            self._file(str(path))
        else:
            self._glob(text)

    def names_in(self, text: str) -> None:
        """What a list names, a picture a line. One that isn't there is a picture that can't be read."""
        from agegender_core.sources.addresses import is_url

        try:
            content = sys.stdin.buffer.read() if text == "-" else Path(text).read_bytes()
        except OSError as error:
            raise UserError(f"--files-from {text}: {error.strerror}") from None
        for line in _text_of(content).split("\n"):
            line = line.removesuffix("\r")
            if not line.strip():
                continue
            if "\0" in line:
                raise UserError(f"--files-from {text} is no list of paths: it holds a zero byte")
            if is_url(line):
                self._one_address(line)
            else:
                self._add_file(os.path.join(os.path.dirname(text), line))

    def _add(self, source: Source, key: Any) -> None:
        """One picture, unless it is there already."""
        name = source.name(key)
        if name in self._seen:
            return
        self._seen.add(name)
        if source is not self._adding:
            from agegender_core.many.listing import Part

            self._adding, self._keys = source, []
            self.parts.append(Part(source, self._keys))
        self._keys.append(key)

    def _add_file(self, path: str) -> None:
        self._add(self._absolute if os.path.isabs(path) else self._relative, path)

    def _file(self, text: str) -> None:
        """A file by its name: a picture, unless it is called as archives or tables are."""
        from agegender_core.many.archives import is_archive_name, list_archive

        if not is_archive_name(text) and not text.lower().endswith(".parquet"):
            self._add_file(text)
            return
        if text in self._seen:
            return
        self._seen.add(text)
        if is_archive_name(text):
            listed = list_archive(text, _base_of(text))
            self.skipped += listed.skipped
            self.parts += listed.parts
        else:
            from agegender_core.many.parquet_images import list_parquet

            self.parts.append(list_parquet(text, _base_of(text)))
        self._adding = None

    def _stdin(self) -> None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UserError(
                "- stands for a picture on stdin, but stdin is a terminal", hint="cat a.jpg | agegender ... -"
            )
        self._add(Stdin(), "-")

    def _address(self, text: str) -> None:
        """One address of the command line: of a picture on the web, or of anything that fsspec opens."""
        scheme = text.partition("://")[0].lower()
        if scheme in ("http", "https"):
            self._one_address(text)
        elif scheme == "file":
            self.path(_path_of(text))
        else:
            self._check(text)
            from agegender_core.many.archives import is_archive_name
            from agegender_core.many.remote import list_address

            found, skipped = list_address(text)
            self.skipped += skipped
            for one in found:
                if is_archive_name(one) or one.lower().endswith(".parquet"):
                    self._file(one)
                else:
                    self._one_address(one)

    def _one_address(self, text: str) -> None:
        self._check(text)
        scheme = text.partition("://")[0]
        if scheme.lower() == "file":
            self._add_file(_path_of(text))
        elif scheme.lower() in ("http", "https"):
            self._add(self._web, text)
        else:
            if scheme not in self._remote:
                from agegender_core.many.remote import Remote

                self._remote[scheme] = Remote(scheme)
                self._remote[scheme].open().close()  # or its package is missing, which is said now
            self._add(self._remote[scheme], text)

    def _check(self, text: str) -> None:
        scheme, _, rest = text.partition("://")
        if scheme.lower() not in ("file", *_LOCAL) and not self._allow_urls:
            raise UserError(f"{text} is an address, and nothing is fetched unasked", hint="Add --allow-urls.")
        if scheme.lower() not in ("http", "https") and "@" in rest.partition("/")[0]:
            raise UserError(
                f"{re.sub(r'(?<=://)[^/@]*@', '***@', text)} has credentials in it",
                hint="Give them as the service's own tools take them: in the environment, or in its file.",
            )

    def _folder(self, top: Path) -> None:
        """All below a folder. One that can't be opened gives a picture that can't be read."""
        from agegender_core.images import is_picture_file
        from agegender_core.many.files import Unreadable

        errors: list[OSError] = []
        files: list[tuple[str, str, bool]] = []
        for folder, folders, names in os.walk(top, onerror=errors.append):
            here = self.output is not None and folder != str(top) and identity(folder) == self.output
            files += [(folder, name, here) for name in names]
            if here:
                folders.clear()
        for path, here in sorted((Path(folder) / name, here) for folder, name, here in files):
            if path.name.startswith("."):
                continue
            if not is_picture_file(path):
                self.skipped += [] if here else [str(path)]
            elif here or (self.output is not None and identity(path) == self.output):
                self.left_out.append(path)
            else:
                self._add_file(str(path))
        unreadable = Unreadable()
        for error in errors:
            self._add(unreadable, (str(error.filename), error.strerror or str(error)))

    def _glob(self, text: str) -> None:
        """What a glob matches; archives and Parquet files only where it asks for such."""
        from agegender_core.images import has_picture_suffix
        from agegender_core.many.archives import is_archive_name

        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True)) if os.path.isfile(match)]
        if not matches:
            raise UserError(f"{text}: there is no such file, folder or match")
        held = is_archive_name(text) or text.lower().endswith(".parquet")
        parts = Path(text).parts
        literal = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        asked_for = self._is_inside(Path(*parts[:literal]))
        for path in matches:
            if held and not self._is_inside(path):
                self._file(str(path))
            elif not has_picture_suffix(path):
                self.skipped.append(str(path))
            elif not asked_for and self._is_inside(path):
                self.left_out.append(path)
            else:
                self._add_file(str(path))

    def _is_inside(self, path: Path) -> bool:
        if self.output is None:
            return False
        return any(identity(place) == self.output for place in (path.absolute(), *path.absolute().parents))


def _base_of(place: str) -> str:
    """Where a path begins: an absolute one, and an address, are the same wherever the command is run."""
    from agegender_core.sources.addresses import is_url

    return "" if os.path.isabs(place) or is_url(place) else os.getcwd()


def _path_of(address: str) -> str:
    """The path of a file:// address."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(address).path)


def _text_of(content: bytes) -> str:
    """A list of paths as text: names as the system has them, or what Windows' editors and shells write."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
