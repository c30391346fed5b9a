"""Long work: on threads, so much of it at a time as memory should hold, with its progress for whoever wants it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def no_progress(*_: Any) -> None:
    """The `progress` of callers that don't ask for any."""


def map_in_order(executor: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """As `Executor.map`, but with no more than `ahead` items under way or waiting to be taken."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
        waiting.append(executor.submit(work, item))
    while waiting:
        yield waiting.popleft().result()
