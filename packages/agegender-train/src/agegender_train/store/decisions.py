"""Decisions of a review on single faces, and the file ``review.csv`` that keeps them: one line each, appended.

A line that a crash cut off has no line end and doesn't count. Line breaks and backslashes in a key are escaped, so that
a decision never takes two lines.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agegender_train.files import write_atomically
from agegender_train.store.labels import MAX_AGE

REVIEW_FILE = "review.csv"
"""Name of the file in the store's folder."""

HEADER = "time,key,face,action,age_low,age_high,gender"
BOX_HEADER = HEADER + ",box"
"""Of a file in which a face was given another box; a line without one may end at the gender."""
ACTIONS = ("accept", "reject", "correct", "undo")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,30})?(e-\d{1,3})?", re.ASCII)
_BOX = re.compile(r"-?\d{1,6}(?: -?\d{1,6}){3}", re.ASCII)
_GENDERS = {"": None, "0": 0, "1": 1}
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


@dataclass(frozen=True)
class Decision:
    """One decision on one face.

    Attributes:
        key: the picture, as the store's column `key` names it.
        face: number of the face among those of the same key, as in the store's column `face`.
        action: "accept": the label is right; "reject": the face is excluded; "correct": it stays with another label or
            box; "undo": the last decision on this face that still held is withdrawn.
        age_low: youngest possible age in years, of a "correct" only; ``None`` leaves the store's age as it is.
        age_high: oldest possible age in years, given when `age_low` is.
        gender: 1 male, 0 female, of a "correct" only; ``None`` leaves the store's gender as it is.
        time: when, in UTC as ``2026-01-31T23:59:59Z``, or empty.
        box: left, top, right and bottom in pixels of the whole picture of the face that is meant, of a "correct" only;
            ``None`` leaves the store's. `agegender_train.store.faces` keeps the face that was cut out there.

    Raises:
        ValueError: a value is out of range or doesn't go with the action.
    """

    key: str
    face: int
    action: str
    age_low: float | None = None
    age_high: float | None = None
    gender: int | None = None
    time: str = ""
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if not self.key or any("\ud800" <= letter <= "\udfff" for letter in self.key):
            raise ValueError(f"key must be the name of a picture in Unicode, got {self.key!r}")
        if not 0 <= self.face < 2**15:
            raise ValueError(f"face must be in 0..32767, got {self.face}")
        if self.action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")
        if not _TIME.fullmatch(self.time):
            raise ValueError(f"time must look like 2026-01-31T23:59:59Z or be empty, got {self.time!r}")
        if self.gender not in (None, 0, 1):
            raise ValueError(f"gender must be 1 for male, 0 for female or empty, got {self.gender}")
        if (self.age_low is None) != (self.age_high is None):
            raise ValueError(f"age_low and age_high go together, got {self.age_low} and {self.age_high}")
        ages = (self.age_low, self.age_high)
        if None not in ages and not 0 <= ages[0] <= ages[1] <= MAX_AGE:  # type: ignore[operator]
            raise ValueError(f"ages must rise within 0..{MAX_AGE}, got {ages[0]} to {ages[1]}")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"box must be left, top, right and bottom in pixels, got {self.box}")
        if (self.action == "correct") != (self.age_low is not None or self.gender is not None or self.box is not None):
            raise ValueError(
                f'an age, a gender or a box goes with "correct", and with nothing else, got {self.action!r}'
            )


def format_decision(decision: Decision) -> str:
    """The line of `decision`, with its line end."""
    ages = (_format_number(age) for age in (decision.age_low, decision.age_high))
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        [
            decision.time,
            re.sub(r"[\\\n\r]", lambda match: _ESCAPES[match[0]], decision.key),
            decision.face,
            decision.action,
            *ages,
            "" if decision.gender is None else decision.gender,
            *([] if decision.box is None else [" ".join(map(str, decision.box))]),
        ]
    )
    return line.getvalue()


def parse_decision(line: str) -> Decision:
    """The decision of a line, with or without its line end.

    Raises:
        ValueError: it is no such line; the message says why.
    """
    try:
        (fields,) = csv.reader([line.rstrip("\r\n")], strict=True)
    except (csv.Error, ValueError):
        raise ValueError(f"a decision must be one line of values with commas between, got {line!r:.100}") from None
    if len(fields) == HEADER.count(",") + 1:
        fields.append("")
    if len(fields) != BOX_HEADER.count(",") + 1:
        raise ValueError(
            f"a decision must have the 7 values {HEADER}, and may have a box, got {len(fields)}: {line!r:.100}"
        )
    time, key, face, action, age_low, age_high, gender, box = fields
    if not re.fullmatch(r"(?:[^\\]|\\[\\nr])*", key, re.DOTALL):
        raise ValueError(rf"in a key \ stands only in \\, \n and \r, got {key!r:.100}")
    key = re.sub(r"\\[\\nr]", lambda match: _UNESCAPES[match[0]], key)
    if not re.fullmatch(r"[0-9]{1,5}", face):
        raise ValueError(f"face must be a whole number, got {face!r:.100}")
    if gender not in _GENDERS:
        raise ValueError(f"gender must be 1 for male, 0 for female or empty, got {gender!r:.100}")
    if box and not _BOX.fullmatch(box):
        raise ValueError(f"box must be four whole numbers with spaces between, or empty, got {box!r:.100}")
    low, high = _parse_number("age_low", age_low), _parse_number("age_high", age_high)
    corners = tuple(map(int, box.split())) if box else None
    return Decision(key, int(face), action, low, high, _GENDERS[gender], time, corners)  # type: ignore[arg-type]


def read_decisions(file: Path) -> list[Decision]:
    """All decisions of a ``review.csv`` in their order; none where there is no such file.

    Raises:
        ValueError: a line is no decision; the message names file and line.
        OSError: the file can't be read.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    return parse_decisions(content, str(file))


def parse_decisions(content: bytes, name: str) -> list[Decision]:
    """As `read_decisions`, of a file's content; `name` stands in the errors."""
    lines = content.split(b"\n")[:-1]
    decisions = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if number == 1 and text.rstrip("\r") not in (HEADER, BOX_HEADER):
                raise ValueError(f"the first line must be {HEADER}, got {text!r:.100}")
            if number > 1 and text.strip():
                decisions.append(parse_decision(text))
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from None
    return decisions


def in_force(decisions: Iterable[Decision]) -> dict[tuple[str, int], Decision]:
    """The decision in force for each face, by key and face: the last one that wasn't withdrawn."""
    standing: dict[tuple[str, int], list[Decision]] = {}
    for decision in decisions:
        stack = standing.setdefault((decision.key, decision.face), [])
        if decision.action != "undo":
            stack.append(decision)
        elif stack:
            stack.pop()
    return {face: stack[-1] for face, stack in standing.items() if stack}


def _format_number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(value)


def _parse_number(name: str, text: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a number or empty, got {text!r:.100}")
    return float(text)


class DecisionLog:
    """A ``review.csv`` open for appending; its user keeps other processes out with `folder_lock`.

    A line that a crash left incomplete is removed.

    Attributes:
        decisions: all of the file, in their order.
        repaired: whether an incomplete line was removed.

    Raises:
        ValueError: a line is no decision; the message names file and line.
        OSError: the file can't be read or repaired.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        content = file.read_bytes() if file.exists() else b""
        self.decisions = parse_decisions(content, str(file))
        whole = content.rfind(b"\n") + 1
        self.repaired = whole < len(content)
        if self.repaired:
            os.truncate(file, whole)
        self._empty = whole == 0
        self._has_boxes = content.partition(b"\n")[0].rstrip(b"\r").endswith(b",box")

    def append(self, decisions: Sequence[Decision]) -> None:
        """Appends decisions: when it returns, all are on the disk; after an error, none.

        Raises:
            OSError: they can't be written.
        """
        if not self._has_boxes and any(decision.box is not None for decision in decisions):
            self._begin_boxes()
        text = "".join(format_decision(decision) for decision in decisions)
        data = (((BOX_HEADER if self._has_boxes else HEADER) + "\n" if self._empty else "") + text).encode()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, before)
                error.filename = error.filename or str(self._file)
                raise
        finally:
            os.close(descriptor)
        self._empty = False
        self.decisions += decisions

    def _begin_boxes(self) -> None:
        """From here on the file's first line names the box, too."""
        if not self._empty:
            write_atomically(self._file, BOX_HEADER.encode() + b"\n" + self._file.read_bytes().partition(b"\n")[2])
        self._has_boxes = True
