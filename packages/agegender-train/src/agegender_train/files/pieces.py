"""Pieces of one open file, read from many threads at once."""

from __future__ import annotations

import os
import threading
import weakref
from typing import IO


class FilePieces:
    """Reads pieces of an open file from any thread; the file is closed with the last reference to it.

    Attributes:
        lock: for whoever moves the file's position in another way.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.lock = threading.Lock()
        weakref.finalize(self, file.close)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on.

        Raises:
            OSError: the file ends before, or can't be read.
        """
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self.lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise OSError(f"it ends {size - len(data)} bytes before it should")
        return data
