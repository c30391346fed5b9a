"""The file that the printed results of `agegender predict` go into, where its name says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from .errors import UserError
from .options import RowFormat

_FORMATS = {".csv": RowFormat.CSV, ".json": RowFormat.JSON, ".jsonl": RowFormat.JSONL}
_HEAD = 64  # bytes
_OWN = {
    RowFormat.CSV: b"source,error,",
    RowFormat.JSON: b'[\n  {\n    "source": ',
    RowFormat.JSONL: b'{"source": ',
}
"""How the results of each format begin: only such a file is replaced by later ones."""


def results_format(output: Path | None, asked: RowFormat | None) -> RowFormat | None:
    """The format of the file of results, or ``None`` where `output` is none: pictures go there then.

    Raises:
        UserError: another format is asked for, or the file is there and no earlier result.
    """
    if output is None or output.is_dir() or (format_ := _FORMATS.get(output.suffix.lower())) is None:
        return None
    if asked not in (None, format_):
        raise UserError(f"--format {asked.value} doesn't fit --output {output}", hint="Leave out --format.")
    if output.exists() and (begin := _begin(output)) and not begin.startswith(_OWN[format_]):
        raise UserError(
            f"--output {output} would replace a file that agegender predict did not write", hint="Choose another name."
        )
    return format_


def _begin(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_HEAD)


@contextmanager
def printed_into(output: Path) -> Iterator[None]:
    """What is printed meanwhile goes into a UTF-8 file, which has its name when all of it is there.

    Raises:
        OSError: it can't be written.
    """
    from agegender_core.files import replacing

    output.parent.mkdir(parents=True, exist_ok=True)
    # Of two processes with one name, each writes its own file, and the last one stays.
    with (
        replacing(output, f".{output.name}.{os.getpid()}.tmp") as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as file,
        redirect_stdout(file),
    ):
        yield
