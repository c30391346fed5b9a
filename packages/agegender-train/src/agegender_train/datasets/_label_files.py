"""Label files: tables of text, and finding the pictures that their rows are about."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from agegender_train.datasets.base import MISSING_LABEL, SECOND_COPY, Rejection, is_picture

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        line: its last line in the file, counted from 1.
        fields: the text in each column without surrounding blanks, by the column's name in lower case; "" where the row
            is too short.
        problem: why the fields can't be trusted, or "".
    """

    line: int
    fields: dict[str, str]
    problem: str = ""


def find_tables(files: FileTree, columns: Collection[str], delimiters: str = ",") -> dict[str, str]:
    """The CSV and TSV files that have all of these columns, by name, each with its delimiter; at least one.

    Raises:
        ValueError: there is none.
        OSError: there is none, and one of the files can't be read.
    """
    found: dict[str, str] = {}
    unreadable: OSError | None = None
    for name in files.names:
        if PurePosixPath(name).suffix.lower() in (".csv", ".tsv"):
            try:
                header = _decoder(files.read(name), "replace").readline(10_000)
            except OSError as error:
                unreadable = error
                continue
            widths = {delimiter: _columns(header, delimiter) for delimiter in delimiters}
            fitting = [delimiter for delimiter in delimiters if set(columns) <= set(widths[delimiter])]
            if fitting:
                found[name] = max(fitting, key=lambda delimiter: len(widths[delimiter]))
    if not found:
        raise unreadable or ValueError(
            f"no CSV file with the column{'s' * (len(columns) > 1)} {', '.join(columns)} is in {files}"
        )
    return found


def read_table(files: FileTree, name: str, columns: Collection[str], delimiter: str = ",") -> Iterator[Row]:
    """The rows of a table whose first line names its columns; UTF-8, or UTF-16 with a byte order mark.

    Raises:
        ValueError: it lacks one of `columns`, has one twice, or is no such table.
        OSError: it can't be read.
    """
    reader = csv.reader(_decoder(files.read(name)), delimiter=delimiter, strict=True)
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        missing = sorted(set(columns) - set(header))
        if missing:
            raise ValueError(f"{name} must have the columns {', '.join(sorted(columns))}; {missing[0]} is missing")
        twice = sorted(column for column in set(header) if column and header.count(column) > 1)
        if twice:
            raise ValueError(f"{name} has the column {twice[0]} twice")
        for fields in reader:
            if not any(fields):
                continue
            too_many = len(fields) > len(header) and any(field.strip() for field in fields[len(header) :])
            problem = f"{len(fields)} fields in {len(header)} columns" if too_many else ""
            values = (field.strip() for field in fields + [""] * (len(header) - len(fields)))
            yield Row(reader.line_num, dict(zip(header, values, strict=False)), problem)
    except UnicodeDecodeError:
        raise ValueError(f"{name} is no UTF-8 text: save it as UTF-8 (near line {reader.line_num + 1})") from None
    except csv.Error as error:
        raise ValueError(f"{name} is no table with columns: {error} (line {reader.line_num})") from None


def _decoder(data: bytes, errors: str = "strict") -> io.TextIOWrapper:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return io.TextIOWrapper(io.BytesIO(data), encoding, errors, newline="")


def _columns(header: str, delimiter: str) -> list[str]:
    try:
        return [column.strip().lower() for column in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error:
        return []


class Pictures:
    """The pictures of a `FileTree` by the last parts of their names, whatever the folders above.

    Args:
        files: where they are.
        parts: how many parts of a name, from its end, identify a picture; all when ``None``.
        any_suffix: whether the suffix is ignored, too, as for pictures that somebody has re-encoded.
    """

    def __init__(self, files: FileTree, parts: int | None, any_suffix: bool = True) -> None:
        self._parts = parts
        self._any_suffix = any_suffix
        self._names = [name for name in files.names if is_picture(name)]
        self._by_tail: dict[str, str] = {}
        self._first: dict[str, str] = {}  # of a second copy
        self._used: set[str] = set()
        self._keys: set[str] = set()
        for name in self._names:
            first = self._by_tail.setdefault(self._tail(name), name)
            if first != name:
                self._first[name] = first

    def find(self, *labels: str) -> str | None:
        """The picture that a label is about: the first of these names that exists, or ``None``.

        A picture under another of the names counts as a second one for the same label.
        """
        found = [name for label in labels if (name := self._by_tail.get(self._tail(label))) is not None]
        if not found:
            return None
        self._used.add(found[0])
        for other in found[1:]:
            self._first.setdefault(other, found[0])
        return found[0]

    def key(self, name: str) -> str:
        """`name`, with ``#2`` and so on appended when an earlier label has it already."""
        key, count = name, 1
        while key in self._keys:
            count += 1
            key = f"{name}#{count}"
        self._keys.add(key)
        return key

    def left_over(self) -> Iterator[Rejection]:
        """A rejection for each picture that no label is about."""
        for name in self._names:
            if name not in self._used:
                yield (
                    Rejection(name, SECOND_COPY, self._first[name])
                    if name in self._first
                    else Rejection(name, MISSING_LABEL)
                )

    def _tail(self, name: str) -> str:
        tail = name if self._parts is None else "/".join(name.split("/")[-self._parts :])
        return tail[: tail.rindex(".")] if self._any_suffix and is_picture(tail) else tail
