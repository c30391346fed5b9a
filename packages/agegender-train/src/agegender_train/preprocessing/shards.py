"""Shards, the unit of work of `preprocess`: a thousand pictures become an encoded shard and its part of the audit.

`make_locally` makes them with this machine's threads; `cluster` does so elsewhere.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from agegender_core.picture_headers import read_header
from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.files import map_in_order
from agegender_train.preprocessing.pictures import UNREADABLE, Outcome, PreprocessSettings, Row, Tools, process_picture
from agegender_train.store import encode_shard

SHARD_PICTURES = 1000
_LARGE_PIXELS = 40_000_000
_LARGE_BYTES = 40_000_000
_MOST_AT_ONCE = 8
_SHARDS_AT_ONCE = 2  # while one is encoded and written, the threads have the pictures of the next
_SUMS = ("pictures", "pictures_kept", "faces", "kept")
_COUNTS = ("box_from", "per_split", "rejected")

MapPictures: TypeAlias = Callable[
    [Callable[[Sample | Rejection], Outcome], Sequence[Sample | Rejection]], Iterable[Outcome]
]


@dataclass(frozen=True)
class ShardTask:
    """The pictures of one shard; it can be pickled.

    Attributes:
        index: number of the shard.
        entries: its pictures in their order; those rejected already only go into the audit.
    """

    index: int
    entries: Sequence[Sample | Rejection]


@dataclass(frozen=True)
class MadeShard:
    """A shard in memory, not written yet.

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
    settings: PreprocessSettings,
    tools: Tools,
    tick: Callable[[], None],
    map_pictures: MapPictures = map,
) -> MadeShard:
    """Makes one shard; equal tasks give equal bytes. In memory are one picture and the rows encoded so far.

    Args:
        task: its pictures.
        files: where the pictures are.
        settings: how a picture becomes a row.
        tools: the detector, the aligner and the decoder.
        tick: called after every picture; an exception that it raises ends the work.
        map_pictures: applies a function to every entry, perhaps in several threads, and gives the results in order.
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


def _process(entry: Sample | Rejection, files: FileTree, settings: PreprocessSettings, tools: Tools) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome([], entry, 0)
    if files.clue(entry.file)[0] > _LARGE_BYTES:
        with _one_at_a_time():
            return _read_and_process(entry, files, settings, tools)
    return _read_and_process(entry, files, settings, tools)


def _read_and_process(entry: Sample, files: FileTree, settings: PreprocessSettings, tools: Tools) -> Outcome:
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
    """Pictures that take a gigabyte each are processed one after the other, whatever the number of threads."""
    with _large:
        yield


class Make(Protocol):
    """`make_shard` with the other arguments bound."""

    def __call__(self, task: ShardTask, *, map_pictures: MapPictures) -> MadeShard:
        """See `make_shard`."""


def make_locally(tasks: Iterable[ShardTask], make: Make, executor: Executor, workers: int) -> Generator[MadeShard]:
    """The shards in their order, the pictures of each spread over all threads.

    One shard per thread would be worse: a few hundred large photos are a single shard, and the last shards would leave
    threads idle.
    """

    def spread(
        process: Callable[[Sample | Rejection], Outcome], entries: Sequence[Sample | Rejection]
    ) -> Iterator[Outcome]:
        # Enough that the queue's own work doesn't matter, few enough that no thread waits long at the end.
        size = min(max(len(entries) // (16 * workers), 1), _MOST_AT_ONCE)
        parts = (entries[start : start + size] for start in range(0, len(entries), size))
        for outcomes in map_in_order(executor, lambda part: [process(entry) for entry in part], parts, 4 * workers):
            yield from outcomes

    drivers = ThreadPoolExecutor(_SHARDS_AT_ONCE)
    try:
        yield from map_in_order(drivers, lambda task: make(task, map_pictures=spread), tasks, _SHARDS_AT_ONCE)
    finally:
        drivers.shutdown(wait=False, cancel_futures=True)  # whoever stops early stops `make` as well


def part_of(
    index: int,
    pictures: int,
    faces: int,
    rows: Sequence[Mapping[str, Any]],
    rejected: Sequence[Rejection],
    content: bytes,
) -> dict[str, Any]:
    """A shard's part of the audit.

    Args:
        index: number of the shard.
        pictures: how many of the reader's entries it is made of.
        faces: how many faces were found in them.
        rows: its rows, with at least `key`, `box_from` and `split`.
        rejected: the entries that have no row, in their order.
        content: the encoded shard.

    Returns:
        For JSON: ``shard`` (name, rows, bytes and SHA-256 of the file), ``pictures`` and ``pictures_kept`` (entries),
        ``faces`` (found), ``kept`` (rows), ``box_from`` and ``per_split`` (counts of rows), ``rejected`` (entries by
        reason) and ``rows``: key, reason and value of each rejected entry.
    """
    digest = hashlib.sha256(content).hexdigest()
    return {
        "shard": {"name": shard_name(index), "rows": len(rows), "bytes": len(content), "sha256": digest},
        "pictures": pictures,
        "pictures_kept": len({row["key"] for row in rows}),
        "faces": faces,
        "kept": len(rows),
        "box_from": count_by_name(row["box_from"] for row in rows),
        "per_split": count_by_name(row["split"] or "" for row in rows),
        "rejected": count_by_name(rejection.reason for rejection in rejected),
        "rows": rejected,
    }


def shard_name(index: int) -> str:
    """The name of a shard's file. A shard without rows has none: Hugging Face `datasets` can't open empty files."""
    return f"shard-{index:05}.parquet"


def part_name(index: int) -> str:
    """The name of the file with a shard's part of the audit."""
    return f"part-{index:05}.json"


def count_by_name(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, sorted by value."""
    return dict(sorted(Counter(values).items()))


def merge_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The audit of a whole store: the sums over its shards."""
    sums: Counter[str] = Counter(dict.fromkeys(_SUMS, 0))
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTS}
    for part in parts:
        for name in _SUMS:
            sums[name] += part[name]
        for name, count in counts.items():
            count.update(part[name])
    return {**sums, **{name: dict(sorted(count.items())) for name, count in counts.items()}}
