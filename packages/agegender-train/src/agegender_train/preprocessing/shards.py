"""The unit of work of `preprocess`: so many pictures become one encoded shard and its part of the audit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from agegender_core.picture_headers import read_header
from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing.parts import part_of
from agegender_train.preprocessing.pictures import UNREADABLE, Outcome, Row, Settings, Tools, process_picture
from agegender_train.store import encode_shard

SHARD_PICTURES = 1000
_LARGE_PIXELS = 40_000_000
_LARGE_BYTES = 40_000_000

MapPictures: TypeAlias = Callable[
    [Callable[[Sample | Rejection], Outcome], Sequence[Sample | Rejection]], Iterable[Outcome]
]


@dataclass(frozen=True)
class ShardTask:
    """What one shard is made of; it can be pickled.

    Attributes:
        index: number of the shard.
        entries: its pictures in their order; those that are rejected already just go into the audit.
    """

    index: int
    entries: Sequence[Sample | Rejection]


@dataclass(frozen=True)
class MadeShard:
    """A shard that isn't written yet.

    Attributes:
        index: number of the shard.
        content: the Parquet file; `b""` for a shard without rows.
        part: its part of the audit; see `part_of`.
    """

    index: int
    content: bytes
    part: dict[str, Any]


def make_shard(
    task: ShardTask,
    files: FileTree,
    settings: Settings,
    tools: Tools,
    tick: Callable[[], None],
    map_pictures: MapPictures = map,
) -> MadeShard:
    """Makes one shard; equal tasks give equal bytes. What is in memory is one picture and the encoded rows so far.

    Args:
        task: what to make.
        files: where the pictures are.
        settings: how a picture becomes a row.
        tools: the detector, the aligner and the decoder.
        tick: called after every picture; what it raises ends the work.
        map_pictures: applies a function to every entry, in their order, perhaps with several threads.
    """

    def process(entry: Sample | Rejection) -> Outcome:
        outcome = _process(entry, files, settings, tools)
        tick()
        return outcome

    rows: list[Row] = []
    rejected: list[Rejection] = []
    faces = 0
    for outcome in map_pictures(process, task.entries):
        faces += outcome.faces
        rows += outcome.rows
        if outcome.rejection is not None:
            rejected.append(outcome.rejection)
    content = encode_shard(rows) if rows else b""
    return MadeShard(task.index, content, part_of(task.index, len(task.entries), faces, rows, rejected, content))


def _process(entry: Sample | Rejection, files: FileTree, settings: Settings, tools: Tools) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome([], entry, 0)
    if files.clue(entry.file)[0] > _LARGE_BYTES:
        with _one_at_a_time():
            return _read_and_process(entry, files, settings, tools)
    return _read_and_process(entry, files, settings, tools)


def _read_and_process(entry: Sample, files: FileTree, settings: Settings, tools: Tools) -> Outcome:
    try:
        data = files.read(entry.file)
    except OSError as error:
        return Outcome([], Rejection(entry.key, UNREADABLE, str(error)), 0)
    width, height = read_header(data).size or (0, 0)
    if width * height > _LARGE_PIXELS:
        with _one_at_a_time():
            return process_picture(data, entry, settings, tools)
    return process_picture(data, entry, settings, tools)


_large = threading.RLock()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Pictures that take a gigabyte each wait for one another, whatever the number of threads."""
    with _large:
        yield
