"""Where a command may write: never over what it reads, whatever links lie between."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .errors import UserError


def refuse_source(output: Path, sources: Iterable[Path | None], option: str = "--output") -> None:
    """Refuses a target that is one of the sources, or that lies in a folder that is one.

    Args:
        output: the file or folder to write; it need not be there.
        sources: files and folders that the command reads; ``None`` and what isn't there are skipped.
        option: what people typed before `output`.

    Raises:
        UserError: the message names both.
    """
    target = output.resolve()
    for source in sources:
        if source is None or not source.exists():
            continue
        hint = f"name another place for {option}"
        if target == source.resolve() or (output.exists() and output.samefile(source)):
            raise UserError(f"{option} {output} is {source} itself, which is read", hint=hint)
        if source.is_dir() and target.is_relative_to(source.resolve()):
            raise UserError(f"{option} {output} lies in {source}, which is read", hint=hint)


def refuse_file(output: Path, option: str = "--output") -> None:
    """Refuses a file where a folder is to be written. Raises UserError."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{option} {output} is a file, and must be a folder", hint="name a folder; it is made")


def refuse_folder(output: Path, option: str = "--output") -> None:
    """Refuses a folder where a file is to be written. Raises UserError."""
    if output.is_dir():
        raise UserError(f"{option} {output} is a folder, and must be a file", hint=f"as in {option} {output / 'NAME'}")
