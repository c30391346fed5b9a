"""Files that are there as a whole or not at all, written under a temporary name and then renamed; names of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str], temporary: str | None = None, sync: bool = False) -> Iterator[Path]:
    """A temporary path in the folder of `path`, which becomes `path` when the block ends and goes when it fails.

    What a killed process leaves under the temporary name is overwritten by the next one. Two processes must not write
    one file at a time.

    Args:
        path: the file; an earlier one of that name stays until the block has ended.
        temporary: the name to use for the time being, for writers that go by the suffix; by default ``.NAME.tmp``.
        sync: wait until the content is on the disk: otherwise a power cut may leave the name on an empty file.

    Raises:
        OSError: the file can't be renamed; what the block raises comes through. Its errors name `path`.
    """
    path = Path(path)
    unfinished = path.with_name(temporary if temporary is not None else f".{path.name}.tmp")
    try:
        yield unfinished
        if sync:
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.errno is None or error.filename is None or os.fspath(error.filename) != str(unfinished):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name that people know
    finally:
        unfinished.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        OSError: it can't be written; nothing of it is left, and an earlier file of that name stays.
    """
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether a path's name is UTF-8: OpenCV and ONNX Runtime take no other, and fail without a sentence."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True
