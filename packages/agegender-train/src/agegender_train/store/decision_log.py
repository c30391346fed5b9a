"""The file of decisions, open for adding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from agegender_train.store.decisions import HEADER, Decision, format_decision, parse_decisions


class DecisionLog:
    """A ``review.csv``, to which decisions are added; whoever has one keeps other processes out with `folder_lock`.

    What a crash left of a line is cut off.

    Attributes:
        decisions: all of the file, in their order.
        repaired: whether half a line was cut off.

    Raises:
        ValueError: a line is no decision; the message names file and line.
        OSError: the file can't be read or mended.
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

    def append(self, decisions: Sequence[Decision]) -> None:
        """Adds decisions, which are on the disk when it returns: all of them or, after an error, none.

        Raises:
            OSError: they can't be written.
        """
        text = "".join(format_decision(decision) for decision in decisions)
        data = ((HEADER + "\n" if self._empty else "") + text).encode()
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
