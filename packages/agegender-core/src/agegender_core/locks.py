"""Locks that let one process at a time work in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Makes `folder` if need be and keeps other processes out of it, with a lock that ends with the process.

    Raises:
        OSError: another process is in it, or it can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as file:
        try:
            _lock(file)
        except OSError:
            raise OSError(f"another process is working on {folder}: wait for it or stop it") from None
        yield  # closing the file unlocks it; it isn't removed, since that would race with the next process


def is_locked(folder: Path) -> bool:
    """Whether a process holds the `folder_lock` of `folder`; changes nothing.

    Raises:
        OSError: the lock is there and can't be opened.
    """
    try:
        file = (folder / ".lock").open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            _lock(file, shared=True)
        except OSError:
            return True
    return False


def _lock(file: IO[bytes], shared: bool = False) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
