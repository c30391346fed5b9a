"""Work on many items: by threads, in order, with a limit to what is in memory; and how its progress is reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """Called as the work goes on, perhaps from several threads, but by one at a time."""

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """`done` of the `total` items of a phase are finished, those of earlier runs included."""


def no_progress(*_: Any, **__: Any) -> None:
    """The progress of callers that don't ask for any: fits every signature."""


def map_in_order(executor: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """As `Executor.map`, but with at most `ahead` items in progress or finished and not yet taken."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
        waiting.append(executor.submit(work, item))
    while waiting:
        yield waiting.popleft().result()
