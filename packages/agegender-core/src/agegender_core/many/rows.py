"""The rows of many pictures, in their order, several of them in work at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, NamedTuple, TypeAlias

from agegender_core.faces import Frame
from agegender_core.images import decode_image
from agegender_core.picture_rows import empty_row, reason_of

from .files import ReadBy
from .listing import Item, Listing, Reader

Look: TypeAlias = Callable[[Item, Frame, dict[str, Any]], None]
"""Looks at a picture, uint8 RGB (H, W, 3), and puts what it finds into its row."""


ROWS_AHEAD = 16
"""So many rows for each worker may be done behind a picture that takes long."""


class Seen(NamedTuple):
    """What became of one picture.

    Attributes:
        item: which.
        row: as `empty_row` says, and what was found.
        missing: it is not there, or may not be read.
    """

    item: Item
    row: dict[str, Any]
    missing: bool = False


def look_at_all(pictures: Iterable[Item], look: Look, workers: int) -> Generator[Seen, None, None]:
    """The row of each picture, in order; one that can't be used has the reason in it, and the others go on.

    After a KeyboardInterrupt that reaches the generator, the pictures in work are finished and given out before it is
    raised again.

    Args:
        pictures: a `Listing`, or some of it in order.
        look: called from several threads.
        workers: so many pictures are in work at a time.

    Raises:
        ModuleNotFoundError: a source needs a package that isn't installed.
    """
    waiting: deque[Future[Seen]] = deque()
    with ThreadPoolExecutor(workers) as executor, closing(_Readers()) as readers:
        try:
            for item in pictures:
                read = _read_already(item, readers) if item.source.in_turn else readers.of(item)
                waiting.append(executor.submit(_seen, item, read, look))
                while waiting and not _has_room(waiting, workers):
                    yield waiting[0].result()
                    waiting.popleft()
            while waiting:
                yield waiting[0].result()
                waiting.popleft()
        except KeyboardInterrupt:
            # What is in work is finished, and counts: its drawing may be there already.
            begun = [future for future in waiting if not future.cancel()]
            for future in begun:
                yield future.result()
            raise
        finally:
            for future in waiting:
                future.cancel()


def _has_room(waiting: deque[Future[Seen]], workers: int) -> bool:
    """Whether another picture may be begun before the next row is given out; waits for a free worker.

    Rows are small, and given out in order: behind a large picture that takes long, others are done meanwhile.
    """
    if len(waiting) > ROWS_AHEAD * workers:
        return False
    unfinished = [future for future in waiting if not future.done()]
    if len(unfinished) > workers:  # one more than are looked at, so that no worker waits
        wait(unfinished, return_when=FIRST_COMPLETED)
    return not waiting[0].done()


def rows_of(listing: Listing, look: Look, workers: int) -> Generator[dict[str, Any], None, None]:
    """The rows of `look_at_all` alone."""
    with closing(look_at_all(listing, look, workers)) as seen:
        for one in seen:
            yield one.row


class _Readers:
    """The reader of the source that is read at the time."""

    def __init__(self) -> None:
        self._source: Any = None
        self._reader: Reader | None = None

    def of(self, item: Item) -> Callable[[Any], bytes]:
        if self._source is not item.source:
            self.close()
            self._source = item.source
            try:
                self._reader = item.source.open()
            except OSError as error:
                self._reader = ReadBy(_that_raises(error))
        assert self._reader is not None
        return self._reader.read

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._source = self._reader = None


def _that_raises(error: Exception) -> Callable[[Any], bytes]:
    def read(_: Any) -> bytes:
        raise error

    return read


def _read_already(item: Item, readers: _Readers) -> Callable[[Any], bytes]:
    try:
        data = readers.of(item)(item.key)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        return _that_raises(error)  # reported where the others are
    return lambda _: data


def _seen(item: Item, read: Callable[[Any], bytes], look: Look) -> Seen:
    row = empty_row(item.name)
    missing = False
    try:
        image = decode_image(read(item.key), item.name)
        row["width"], row["height"] = image.shape[1], image.shape[0]
        look(item, image, row)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        # Whatever happens with one picture, the others go on; a bug is to be seen where it is looked for.
        if os.environ.get("AGEGENDER_DEBUG") == "1" and not isinstance(error, ValueError | OSError | MemoryError):
            raise
        row["error"] = reason_of(error, item.name)
        missing = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
    return Seen(item, row, missing)
