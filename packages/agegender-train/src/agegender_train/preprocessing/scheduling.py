"""Shards made on this machine's cores, a bounded number of them in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from agegender_train.preprocessing.shards import MadeShard, ShardTask


def make_locally(
    tasks: Iterable[ShardTask], make: Callable[[ShardTask], MadeShard], executor: Executor, workers: int
) -> Generator[MadeShard]:
    """The shards as they come, whatever their order; one more than `workers` are under way or waiting at most."""
    running: set[Future[MadeShard]] = set()
    for task in tasks:
        running.add(executor.submit(make, task))
        if len(running) > workers:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()
