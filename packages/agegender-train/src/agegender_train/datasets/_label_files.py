"""Label files: tables of text, and finding the pictures that their rows are about."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from agegender_train.datasets.base import MISSING_LABEL, SECOND_COPY, Rejection
from agegender_train.datasets.file_kinds import is_picture

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


class Table:
    """A table whose first line names its columns, as datasets and spreadsheets write it; iterating gives its rows.

    UTF-8, UTF-16, or Windows-1252, which is noted; columns are separated by what the first line is, or by what a line
    ``sep=;`` before it says.

    Args:
        files: where it is.
        name: of the file.
        columns: names, in lower case, that it must have.

    Attributes:
        name: as above.
        titles: of the columns, as they are written.
        has_decimal_commas: whether a comma between digits is a decimal sign: commas don't separate the columns.

    Raises:
        ValueError: it lacks one of `columns`, has one twice, or is no such table; iterating raises it, too.
        OSError: it can't be read.
    """

    def __init__(self, files: FileTree, name: str, columns: Collection[str]) -> None:
        self.name = name
        data = files.read(name)
        encoding = _encoding(data, name)
        if encoding == _WINDOWS:
            files.note(f"{name} is no UTF-8 text and was read as Windows-1252", 0)
        self._text = data.decode(encoding)
        layout = _layout(self._text, columns)
        self._delimiter, self._start = layout.delimiter, layout.start
        self.has_decimal_commas = self._delimiter in ";\t"
        self.titles = layout.titles
        header = [title.lower() for title in self.titles]
        missing = sorted(set(columns) - set(header))
        if missing:
            raise ValueError(f"{name} must have the columns {', '.join(sorted(columns))}; {missing[0]} is missing")
        twice = sorted(column for column in set(header) if column and header.count(column) > 1)
        if twice:
            raise ValueError(f"{name} has the column {twice[0]} twice")
        self._header = header

    def __iter__(self) -> Iterator[Row]:
        lines = io.StringIO(self._text, newline="")
        lines.seek(self._start)
        before = 1 if self._start else 0
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            next(reader)
            for fields in reader:
                if any(fields):
                    yield self._row(reader.line_num + before, fields)
        except csv.Error as error:
            raise ValueError(
                f"{self.name} is no table with columns: {error} (line {reader.line_num + before})"
            ) from None

    def _row(self, line: int, fields: list[str]) -> Row:
        header = self._header
        too_many = len(fields) > len(header) and any(field.strip() for field in fields[len(header) :])
        problem = f"{len(fields)} fields in {len(header)} columns" if too_many else ""
        values = (field.strip() for field in fields + [""] * (len(header) - len(fields)))
        return Row(line, dict(zip(header, values, strict=False)), problem)


_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")  # spreadsheets call "Unicode text" .txt
_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)  # Excel's own
_WINDOWS = "cp1252"
_LONGEST_LINE = 10_000


def find_tables(files: FileTree, columns: Collection[str]) -> list[str]:
    """The names of the CSV and TSV files that have all of these columns; at least one.

    Raises:
        ValueError: there is none.
        OSError: there is none, and one of the files can't be read.
    """
    found: list[str] = []
    others: list[str] = []
    unreadable: OSError | None = None
    for name in files.names:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _SUFFIXES:
            try:
                data = files.read(name)
            except OSError as error:
                unreadable = error if suffix in _SUFFIXES[:2] else unreadable
                continue
            titles = _layout(_start_of_text(data), columns).titles
            if set(columns) <= {title.lower() for title in titles}:
                found.append(name)
            elif len(titles) > 1 and suffix in _SUFFIXES[:2]:
                others.append(f"{name} has {', '.join(titles)}")
    if not found:
        what = f"no CSV file with the column{'s' * (len(columns) > 1)} {', '.join(columns)} is in {files}"
        raise unreadable or ValueError("; ".join([what, *others[:3]]))
    return found


class _Layout(NamedTuple):
    delimiter: str
    start: int
    titles: list[str]


def _layout(text: str, columns: Collection[str]) -> _Layout:
    """What separates the columns, where the line with their names begins, and the names: what fits `columns` best."""
    given = _SEP_LINE.match(text)
    start = given.end() if given else 0
    line = next(iter(io.StringIO(text[start : start + _LONGEST_LINE], newline="")), "")
    delimiters = given[1] if given else _DELIMITERS
    layouts = [_Layout(delimiter, start, _titles(line, delimiter)) for delimiter in delimiters]
    wanted = set(columns)
    return max(layouts, key=lambda layout: (len(wanted & {t.lower() for t in layout.titles}), len(layout.titles)))


def _titles(line: str, delimiter: str) -> list[str]:
    try:
        return [title.strip() for title in next(csv.reader([line], delimiter=delimiter), [])]
    except (csv.Error, TypeError):  # TypeError: what the file calls a separator can't be one
        return []


def _encoding(data: bytes, name: str) -> str:
    marked = _marked_encoding(data)
    for encoding in [marked] if marked else ["utf-8"] if b"\0" in data else ["utf-8", _WINDOWS]:
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            near = data.count(b"\n", 0, error.start) + 1
        else:
            return encoding
    raise ValueError(f"{name} is no UTF-8 text: save it as UTF-8 (near line {near})")


def _marked_encoding(data: bytes) -> str | None:
    """The encoding by the byte order mark, or by zeros at every other place; ``None`` where there are neither."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return {b"\0\0": "utf-16-le"}.get(data[1:4:2]) or {b"\0\0": "utf-16-be"}.get(data[0:4:2])


def _start_of_text(data: bytes) -> str:
    return data[: 4 * _LONGEST_LINE].decode(_marked_encoding(data) or "utf-8", "replace")


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
