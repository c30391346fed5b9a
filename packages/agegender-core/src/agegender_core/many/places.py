"""Files on this machine and at addresses of fsspec, opened alike."""

from __future__ import annotations

import os
from importlib import import_module
from typing import IO, Any, cast

from agegender_core.sources.addresses import is_url

INSTALL = {
    "s3": 's3fs (the extra "agegender-core[s3]")',
    "s3a": 's3fs (the extra "agegender-core[s3]")',
    "gs": 'gcsfs (the extra "agegender-core[gcs]")',
    "gcs": 'gcsfs (the extra "agegender-core[gcs]")',
}
"""What to install for the addresses of a kind."""


def open_place(place: str, base: str) -> IO[bytes]:
    """A file to read bytes of, in any order.

    Args:
        place: a path, or an address such as ``s3://bucket/pictures.zip``.
        base: the folder that relative paths begin at.

    Raises:
        OSError: it can't be opened.
        ModuleNotFoundError: the package for such addresses is not installed; a note says which.
    """
    if not is_url(place):
        return open(os.path.join(base, place), "rb")
    files, path = file_system(place)
    with explained(place):
        return cast(IO[bytes], files.open(path, "rb"))


def place_exists(place: str, base: str) -> bool:
    """Whether there is such a file, and it may be read."""
    if not is_url(place):
        return os.access(os.path.join(base, place), os.R_OK)
    files, path = file_system(place)
    with explained(place):
        return bool(files.exists(path))


def file_system(address: str) -> tuple[Any, str]:
    """The file system of fsspec for an address, and the path in it.

    Raises:
        OSError: there is no such kind of address, or the file system can't be had.
        ModuleNotFoundError: the package for such addresses is not installed; a note says which.
    """
    scheme = address.partition("://")[0].lower()
    package = INSTALL.get(scheme, 'fsspec (the extra "agegender-core[fsspec]"), and the package for such addresses')
    try:
        fsspec = import_module("fsspec")
        with explained(address):
            files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        missing = ModuleNotFoundError(f"{scheme}:// needs a package that is not installed: {error.name or error}")
        missing.add_note(f"pip install {package}")
        raise missing from None
    return files, str(path)


class explained:  # noqa: N801  # reads as a word in a with statement
    """Within it whatever a file system raises becomes an OSError that says why; an OSError of its own kind stays.

    The libraries behind fsspec raise kinds of errors of their own: no credentials, no connection, no such bucket.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, ImportError | MemoryError):
            return
        if isinstance(error, OSError) and (error.strerror or type(error) is not OSError):
            return
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise OSError(f"{self._address}: {reason}") from error
