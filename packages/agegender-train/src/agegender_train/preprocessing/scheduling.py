"""Shards made on this machine's cores, the pictures of each by all of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

from agegender_train.datasets import Rejection, Sample
from agegender_train.files import map_in_order
from agegender_train.preprocessing.pictures import Outcome
from agegender_train.preprocessing.shards import MadeShard, MapPictures, ShardTask

_MOST_AT_ONCE = 8
_SHARDS_AT_ONCE = 2  # while one is encoded and written, the threads have the pictures of the next


class Make(Protocol):
    """`make_shard` with all but these arguments given."""

    def __call__(self, task: ShardTask, *, map_pictures: MapPictures) -> MadeShard:
        """See `make_shard`."""


def make_locally(tasks: Iterable[ShardTask], make: Make, executor: Executor, workers: int) -> Generator[MadeShard]:
    """The shards in their order.

    Not a shard a thread: a few hundred large photos are one shard, and the last shards would leave threads idle.
    """

    def spread(
        process: Callable[[Sample | Rejection], Outcome], entries: Sequence[Sample | Rejection]
    ) -> Iterator[Outcome]:
        # So many that the queue's own work is no matter, so few that no thread waits long for the others at the end.
        size = min(max(len(entries) // (16 * workers), 1), _MOST_AT_ONCE)
        parts = (entries[start : start + size] for start in range(0, len(entries), size))
        for outcomes in map_in_order(executor, lambda part: [process(entry) for entry in part], parts, 4 * workers):
            yield from outcomes

    drivers = ThreadPoolExecutor(_SHARDS_AT_ONCE)
    try:
        yield from map_in_order(drivers, lambda task: make(task, map_pictures=spread), tasks, _SHARDS_AT_ONCE)
    finally:
        drivers.shutdown(wait=False, cancel_futures=True)  # whoever stops early stops `make` himself
