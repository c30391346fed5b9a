"""Files of rows that are whole after every row: JSON lines, CSV, and the text of the MOT benchmarks."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from agegender_core.records import FACE_COLUMNS, face_rows, frame_record

from .base import SinkError

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult


class RowFile:
    """Writes whole rows, each at once and straight into the file, so that another program can follow it.

    So the file is valid up to its last row whenever the run ends, by a kill, too. A row that doesn't fit onto the disk
    any more is taken back. A file of that name from an earlier run is emptied first.

    Args:
        path: a file or a named pipe, or "-" for stdout.

    Attributes:
        done: whoever read from the pipe or from stdout has closed it; what is written from then on is dropped.

    Raises:
        SinkError: the file can't be written; the message names it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.done = False
        self._stdout = str(path) == "-"
        self._end = 0
        if self._stdout and sys.stdout is None:
            raise SinkError("nothing can be written to stdout: it is closed")
        try:
            self._file: BinaryIO | None = None if self._stdout else open(path, "wb", buffering=0)  # noqa: SIM115
            self._seekable = self._file is not None and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        except OSError as error:
            raise SinkError(f"{path} can't be written: {error.strerror}") from None

    def write_row(self, text: str) -> None:
        """Write one row, without the end of its line. Raises SinkError where that fails, as on a full disk."""
        if self.done:
            return
        try:
            if self._file is None:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
            else:
                self._write_whole(self._file, (text + "\n").encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            # The reader (such as `head`) has had enough.
            self.done = True
            self._discard_unwritten()
        except OSError as error:
            raise SinkError(f"{self.path} can't be written: {error.strerror}") from None

    def _write_whole(self, file: BinaryIO, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            if self._seekable:
                with suppress(OSError):
                    file.truncate(self._end)
            raise
        self._end += len(data)

    def _discard_unwritten(self) -> None:
        if self._stdout:
            # Python flushes stdout once more when it ends, and would complain again.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
        else:
            self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class TableFile(RowFile):
    """Writes rows of named columns: CSV under a header, or JSON lines. See `RowFile` for how it is written.

    Args:
        path: ends in .csv, or JSON lines otherwise; "-" is stdout.
        columns: the names of the columns, in order.
    """

    def __init__(self, path: str | Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self._csv = str(path).lower().endswith(".csv")
        if self._csv:
            self.write_row(csv_row(columns))

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows that have the columns as keys, in order. Raises SinkError where that fails, as on a full disk."""
        for row in rows:
            self.write_row(csv_row(row.values()) if self._csv else json.dumps(row, ensure_ascii=False))


class JsonlSink(RowFile):
    """Writes one JSON object per frame and line: see `frame_record`, and `RowFile` for how it is written."""

    def write(self, result: FrameResult) -> None:
        """Write the line of one frame. Raises SinkError where that fails, as on a full disk."""
        self.write_row(json.dumps(frame_record(result), ensure_ascii=False, allow_nan=False))


class CsvSink(RowFile):
    """Writes one row a face, under a header; a frame without faces has none. See `RowFile` for how it is written."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.write_row(csv_row(FACE_COLUMNS))

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame. Raises SinkError where that fails, as on a full disk."""
        for row in face_rows(result):
            self.write_row(csv_row([row[name] for name in FACE_COLUMNS]))


class MotSink(RowFile):
    """Writes the tracks as the MOT benchmarks have them, for their tools.

    A row is: number of the frame from 1, track, left, top, width, height, score, -1, -1, -1. Faces without a confirmed
    track are left out. See `RowFile` for how it is written.
    """

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame. Raises SinkError where that fails, as on a full disk."""
        for row in _mot_rows(result):
            self.write_row(row)


def _mot_rows(result: FrameResult) -> Iterator[str]:
    for row in face_rows(result):
        if row["track_id"] is None or row["track_id"] < 0:
            continue
        box = row["left"], row["top"], row["right"] - row["left"], row["bottom"] - row["top"]
        score = 1 if row["score"] is None else row["score"]
        numbers = [result.index + 1, row["track_id"], *(round(edge, 2) for edge in box), score, -1, -1, -1]
        yield ",".join(str(number) for number in numbers)


def csv_row(values: Any) -> str:
    """One line of CSV, without its end; ``None`` is empty, and control characters in text are escaped."""
    text = io.StringIO()
    plain = [_escaped(value) if isinstance(value, str) else value for value in values]
    csv.writer(text, lineterminator="").writerow(plain)
    return text.getvalue()


def _escaped(text: str) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
