"""What ``agegender stream`` counts at the lines and zones of --zones, and where the counts go."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .output import count

if TYPE_CHECKING:
    from agegender_core.counting import Counter, CountingSink, Regions, Totals, Zone
    from agegender_core.messages import MessageSink
    from agegender_core.sources import Source


def read_zones(zones: Path | None, counts: str | None, events: str | None) -> Regions | None:
    """The lines and zones of --zones, if it is given.

    Raises:
        UserError: the file can't be used, or there is none, and an option needs it.
    """
    if zones is None:
        for option, given in (("--counts", counts), ("--events", events)):
            if given is not None:
                raise UserError(f"{option} needs --zones, which says where to count", hint="agegender zones SOURCE")
        return None
    from agegender_core.counting import read_regions

    return read_regions(zones)


def counting_sinks(
    sources: Sequence[Source],
    regions: Regions,
    counts: str | None,
    events: str | None,
    messages: MessageSink | None,
    stack: ExitStack,
) -> tuple[list[CountingSink], list[Any]]:
    """A counting sink for each source, and the tables that they share, which `stack` closes if it isn't taken over.

    What happens goes to `messages`, too.

    Raises:
        UserError: a region is for a source that there isn't.
        SinkError: a table can't be opened.
    """
    from agegender_core.counting import COUNT_COLUMNS, EVENT_COLUMNS, CountingSink
    from agegender_core.sinks import open_table

    names = [(source.name, source.slug) for source in sources]
    if unknown := sorted(regions.sources - {name for pair in names for name in pair}):
        raise UserError(
            f"--zones has a region for the source {unknown[0]!r}, and there is none of that name",
            hint=f"sources here: {', '.join(pair[0] for pair in names)}",
        )
    minutes = None if counts is None else open_table(counts, COUNT_COLUMNS)
    tables = [] if minutes is None else [stack.enter_context(minutes)]
    happened = None if events is None else open_table(events, EVENT_COLUMNS)
    tables += [] if happened is None else [stack.enter_context(happened)]
    told = [one for one in (happened, messages) if one is not None]
    return [CountingSink(pair, regions, minutes, told) for pair in names], tables


def count_lines(sources: Sequence[Source], sinks: Sequence[CountingSink]) -> list[str]:
    """The totals in words, a sentence a region."""
    lines: list[str] = []
    for name, counter in _named(sources, sinks):
        where = f"{name}: " if len(sources) > 1 else ""
        totals = counter.totals
        lines += [f"{where}{line.name}: {_crossed(totals[line.name])}" for line in counter.lines]
        lines += [f"{where}{zone.name}: {_visited(zone, totals[zone.name])}" for zone in counter.zones]
    return lines


def count_metrics(sources: Sequence[Source], sinks: Sequence[CountingSink]) -> str:
    """The totals for Prometheus; nothing where nothing is counted."""
    if not sinks:
        return ""
    from agegender_core.counting import prometheus_counts

    return prometheus_counts(_named(sources, sinks))


def _named(sources: Sequence[Source], sinks: Sequence[CountingSink]) -> list[tuple[str, Counter]]:
    pairs = zip(sources, sinks, strict=bool(sinks))
    return [(source.name, sink.counter) for source, sink in pairs if sink.counter is not None]


def _crossed(totals: Totals) -> str:
    return f"{totals.kinds['in']} in, {totals.kinds['out']} out"


def _visited(zone: Zone, totals: Totals) -> str:
    return f"{count(totals.visits, 'visit')}, {totals.stays} of {zone.stay:g} s or longer"
