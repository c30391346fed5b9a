"""Progress bars: on stderr, and only where somebody sees them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS = 0.1  # between two updates: a bar must not slow down the work


class Bar:
    """One piece of work.

    Args:
        progress: the display that it is a line of.
        title: what is done.
        total: how much there is to do; ``None`` if nobody knows.
        unit: what is counted, in the plural; nothing is said of the speed without it.
        done: what was done before: it doesn't count for the speed.
    """

    def __init__(self, progress: Progress, title: str, total: int | None, unit: str = "", done: int = 0) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, completed=done, unit=unit, per_step=1, note="")
        self._shown = 0.0

    def update(
        self,
        done: int,
        total: int | None = None,
        *,
        title: str | None = None,
        note: str | None = None,
        per_step: int | None = None,
    ) -> None:
        """Shows that so much of the total is done.

        Args:
            done: in all.
            total: if it is another one now.
            title: if it is another one now.
            note: a word on how it stands.
            per_step: how many of the unit each of what is counted is worth.
        """
        now = monotonic()
        if self._progress.disable or (done != total and now - self._shown < _SECONDS):
            return
        self._shown = now
        fields = {"note": note, "per_step": per_step}
        self._progress.update(
            self._task,
            completed=done,
            total=total,
            description=title,
            **{name: value for name, value in fields.items() if value is not None},  # type: ignore[arg-type]
        )

    def restart(self, done: int) -> None:
        """Takes what is done up to here as done before."""
        self._progress.reset(self._task, completed=done)


NewBar: TypeAlias = Callable[..., Bar]
"""Begins a bar; takes the title, the total, the unit and what was done before, as `Bar` does."""


@contextmanager
def progress_bars(quiet: bool, endless: bool = False) -> Iterator[NewBar]:
    """Within it, bars can be begun.

    Args:
        quiet: show nothing.
        endless: there is no total: show for how long it has been going on, not how long it will take.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            unit, rate = task.fields["unit"], (task.speed or 0.0) * task.fields["per_step"]
            return Text(f"{rate:.{0 if rate >= 20 else 1}f} {unit}/s" if unit and rate else "")

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn() if endless else TimeRemainingColumn(),
    )
    # FORCE_COLOR makes a terminal of any file: colours, yes, but no bar that is drawn over and over.
    seen = sys.stderr.isatty() and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet or not seen) as progress:
        yield lambda *arguments, **named: Bar(progress, *arguments, **named)


COPIES = {"near-duplicates": ("Looking for copies", "faces"), "comparing": ("Comparing them closely", "pairs")}
"""The phases of `agegender_train.duplicates.copies.find_copies`."""


class ShowPhase(Protocol):
    """Shows how far a phase of some work is."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` are done, those of an earlier process included."""


@contextmanager
def phase_bars(quiet: bool, phases: Mapping[str, tuple[str, str]] = COPIES) -> Iterator[ShowPhase]:
    """Within it, what to call with the name of a phase, what is done and the total; each phase has a bar.

    Args:
        quiet: show nothing.
        phases: title and unit by the name of the phase; one that isn't there is shown by its name.
    """
    with progress_bars(quiet) as new_bar:
        bars: dict[str, Bar] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in bars:
                title, unit = phases.get(phase, (phase, ""))
                bars[phase] = new_bar(title, total, unit, done)
            bars[phase].update(done, total)

        yield show
