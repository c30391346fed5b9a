"""The progress bar of a search for faces that are there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_TITLES = {"near-duplicates": "Looking for copies", "comparing": "Comparing them closely"}


@contextmanager
def comparing(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Within it, what `agegender_train.duplicates.copies.find_copies` takes as its progress."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(_TITLES[phase], total=total)
            bar.update(tasks[phase], completed=done, total=total)

        yield show
