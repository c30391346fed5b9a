"""What has been counted so far, as JSON and for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agegender_core.telemetry import prometheus_labels

from .counter import OF_LINES, OF_ZONES, Counter


def count_records(counter: Counter) -> list[dict[str, Any]]:
    """One dictionary a region, lines before zones.

    A line has {"line": its name, "in", "out"}; a zone {"zone": its name, "now": who is in it, "visits": begun so far,
    "stays": how many of those that are over were stays}.
    """
    totals = counter.totals
    lines: list[dict[str, Any]] = [
        {"line": line.name, **{kind: totals[line.name].kinds[kind] for kind in OF_LINES}} for line in counter.lines
    ]
    for zone in counter.zones:
        own = totals[zone.name]
        lines.append({"zone": zone.name, "now": own.now, "visits": own.visits, "stays": own.stays})
    return lines


def prometheus_counts(counters: Sequence[tuple[str, Counter]]) -> str:
    """The totals in the text format that Prometheus reads: events by source, region and kind, and who is in a zone.

    Args:
        counters: each with the name of its source.
    """
    events = [
        _sample("region_events_total", counter.totals[name].kinds[kind], source=source, region=name, event=kind)
        for source, counter in counters
        for name, kinds in [
            *((line.name, OF_LINES) for line in counter.lines),
            *((zone.name, OF_ZONES) for zone in counter.zones),
        ]
        for kind in kinds
    ]
    now = [
        _sample("zone_people", counter.totals[zone.name].now, source=source, region=zone.name)
        for source, counter in counters
        for zone in counter.zones
    ]
    families = {
        ("region_events_total", "counter", "What people did at lines and zones."): events,
        ("zone_people", "gauge", "People who are in a zone."): now,
    }
    lines = []
    for (name, kind, text), samples in families.items():
        if samples:
            lines += [f"# HELP agegender_{name} {text}", f"# TYPE agegender_{name} {kind}", *samples]
    return "\n".join(lines) + "\n" if lines else ""


def _sample(name: str, value: int, **labels: str) -> str:
    return f"agegender_{name}{prometheus_labels(labels)} {value}"
