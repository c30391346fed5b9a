"""How a run is doing, in figures: rates, ages of frames, time of each stage, drops, memory; all in bounded memory."""

from __future__ import annotations

import ctypes
import math
import os
import sys
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .sources.frames import Source

if TYPE_CHECKING:
    from .pipeline import FrameResult

_STEP = 1.05
_SMALLEST = 1e-5  # seconds
_RECENT = 5.0  # seconds: what "now" means
_REMEMBERED = 4096  # tracks of a source


class Durations:
    """Many durations in little memory: quantiles are exact to 2.5 %, count and sum are exact."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more, in seconds; below 0 counts as 0."""
        self.count += 1
        self.total += max(seconds, 0.0)
        self._counts[max(0, round(math.log(max(seconds, _SMALLEST) / _SMALLEST) / math.log(_STEP)))] += 1

    def quantile(self, part: float) -> float | None:
        """The duration below which `part` of them lie, in seconds; ``None`` of none."""
        left = part * self.count
        for place in sorted(self._counts):
            left -= self._counts[place]
            if left <= 0:
                return _SMALLEST * _STEP**place
        return None

    def milliseconds(self) -> dict[str, float | None]:
        """Median and 95th percentile, in ms."""
        median, high = self.quantile(0.5), self.quantile(0.95)
        return {
            "median": None if median is None else round(1000 * median, 2),
            "p95": None if high is None else round(1000 * high, 2),
        }


class Receiver(Protocol):
    """Where messages go: an `Outbox`."""

    @property
    def name(self) -> str:
        """As people may see it."""

    def counts(self) -> dict[str, int]:
        """How many messages were "delivered", and how many are "waiting"; by why, how many did not arrive."""


class _Tally:
    def __init__(self) -> None:
        self.processed = self.faces = self.tracks = self.uniform = 0
        self.age = Durations()
        self.stages: dict[str, Durations] = {}
        self._known: OrderedDict[int, None] = OrderedDict()
        self.shown: set[int] = set()

    def add(self, result: FrameResult, age: float | None) -> None:
        self.processed += 1
        self.faces += len(result.faces)
        sample = result.image[::16, ::16]
        self.uniform += bool((sample == sample[0, 0]).all())
        for name, seconds in result.seconds.items():
            self.stages.setdefault(name, Durations()).add(seconds)
        if age is not None:
            self.age.add(age)
        ids = [] if result.faces.track_id is None else result.faces.track_id.tolist()
        self.shown = {number for number in ids if number >= 0}
        for number in self.shown:
            self.tracks += number not in self._known
            self._known[number] = None
            self._known.move_to_end(number)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class Telemetry:
    """Figures of one run over one or more sources.

    Args:
        sources: those that it is about, in order.
        receivers: of messages, if any are sent.
    """

    def __init__(self, sources: Sequence[Source], receivers: Sequence[Receiver] = ()) -> None:
        self._sources, self._receivers = tuple(sources), tuple(receivers)
        self._tallies = [_Tally() for _ in sources]
        self._start = time.monotonic()
        self._recent: deque[tuple[float, float | None]] = deque()

    def add(self, number: int, result: FrameResult) -> None:
        """One frame of the source of that number is done: to be called when all sinks have it."""
        age = None if result.captured is None else time.time() - result.captured
        self._tallies[number].add(result, age)
        now = time.monotonic()
        self._recent.append((now, age))
        while self._recent[0][0] < now - _RECENT:
            self._recent.popleft()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    @property
    def frames(self) -> int:
        """Processed so far, of all sources."""
        return sum(tally.processed for tally in self._tallies)

    @property
    def faces(self) -> int:
        """Found so far, counted anew in each frame."""
        return sum(tally.faces for tally in self._tallies)

    @property
    def tracks(self) -> int:
        """Confirmed so far."""
        return sum(tally.tracks for tally in self._tallies)

    @property
    def dropped(self) -> int:
        """Frames of live sources that came while another one was at work."""
        return sum(source.dropped for source in self._sources)

    @property
    def rate(self) -> float:
        """Frames per second since the beginning."""
        return self.frames / max(self.seconds, 1e-9)

    def uniform(self, number: int) -> int:
        """Frames of a source that were of one colour all over: a covered lens, or a decoder that fails."""
        return self._tallies[number].uniform

    def processed(self, number: int) -> int:
        """Frames of one source."""
        return self._tallies[number].processed

    def line(self) -> str:
        """How it is now, for people: frames/s and the age of frames over the last seconds, drops, tracks in view."""
        since = time.monotonic() - _RECENT
        recent = [age for when, age in self._recent if when >= since]
        ages = sorted(age for age in recent if age is not None)
        shown = sum(len(tally.shown) for tally in self._tallies)
        rate = len(recent) / min(_RECENT, max(self.seconds, 1e-9))
        parts = [f"{rate:.1f} frames/s, {shown} in view"]
        if ages:
            parts.append(f"{1000 * ages[len(ages) // 2]:.0f} ms old")
        if any(source.is_live for source in self._sources):
            parts.append(f"{self.dropped:,} dropped")
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        """All figures, as JSON takes them; times in ms, memory in MB."""
        sources = []
        for source, tally in zip(self._sources, self._tallies, strict=True):
            entry: dict[str, Any] = {
                "source": source.name,
                "live": source.is_live,
                "frames_received": source.received,
                "frames_processed": tally.processed,
                "frames_dropped": source.dropped,
                "frames_broken": source.broken,
                "frames_of_one_colour": tally.uniform,
                "connections": source.connections,
                "faces": tally.faces,
                "tracks": tally.tracks,
                "frame_age_ms": tally.age.milliseconds(),
                "stages_ms": {
                    name: {"frames": stage.count, **stage.milliseconds()} for name, stage in tally.stages.items()
                },
                "problem": source.problem or None,
            }
            sources.append(entry)
        return {
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.rate, 2),
            "memory_mb": memory_mb(),
            "sources": sources,
            **({"messages": [{"to": one.name, **one.counts()} for one in self._receivers]} if self._receivers else {}),
        }

    def prometheus(self) -> str:
        """All figures in the text format that Prometheus reads."""
        lines: list[str] = []

        def family(name: str, kind: str, text: str) -> None:
            lines.extend((f"# HELP agegender_{name} {text}", f"# TYPE agegender_{name} {kind}"))

        def labels(source: Source, **more: str) -> str:
            return prometheus_labels({"source": source.name, **more})

        pairs = list(zip(self._sources, self._tallies, strict=True))
        counters: dict[str, tuple[str, list[int]]] = {
            "frames_received": ("Frames that came in.", [one.received for one, _ in pairs]),
            "frames_processed": ("Frames that went through the pipeline.", [tally.processed for _, tally in pairs]),
            "frames_dropped": ("Frames that came while another was at work.", [one.dropped for one, _ in pairs]),
            "frames_broken": ("Frames that could not be decoded, or not whole.", [one.broken for one, _ in pairs]),
            "connections": ("How often the source was opened.", [one.connections for one, _ in pairs]),
            "faces": ("Faces, counted anew in each frame.", [tally.faces for _, tally in pairs]),
            "tracks": ("Tracks that were confirmed.", [tally.tracks for _, tally in pairs]),
        }
        for name, (text, values) in counters.items():
            family(f"{name}_total", "counter", text)
            for source, value in zip(self._sources, values, strict=True):
                lines.append(f"agegender_{name}_total{labels(source)} {value}")
        family("tracks_in_view", "gauge", "Tracks in the last frame.")
        lines.extend(f"agegender_tracks_in_view{labels(source)} {len(tally.shown)}" for source, tally in pairs)
        family("frame_age_seconds", "summary", "From a live frame's arrival to the end of its processing.")
        for source, tally in pairs:
            lines.extend(_summary("frame_age_seconds", tally.age, partial(labels, source)))
        family("stage_seconds", "summary", "Time that a stage took for a frame.")
        for source, tally in pairs:
            for stage, durations in tally.stages.items():
                lines.extend(_summary("stage_seconds", durations, partial(labels, source, stage=stage)))
        counts = [({"to": one.name}, one.counts()) for one in self._receivers]
        for name in counts[0][1] if counts else ():
            waiting = name == "waiting"
            suffix = "" if waiting else "_total"
            text = "Messages that are not confirmed yet." if waiting else f"Messages that were {name}."
            family(f"messages_{name}{suffix}", "gauge" if waiting else "counter", text)
            lines.extend(
                f"agegender_messages_{name}{suffix}{prometheus_labels(pairs)} {of[name]}" for pairs, of in counts
            )
        memory = memory_mb()
        if memory is not None:
            family("memory_bytes", "gauge", "Resident memory of the process.")
            lines.append(f"agegender_memory_bytes {round(memory * 1e6)}")
        return "\n".join(lines) + "\n"


def _summary(name: str, durations: Durations, labels: Callable[..., str]) -> list[str]:
    lines = []
    for part in (0.5, 0.95):
        value = durations.quantile(part)
        if value is not None:
            lines.append(f"agegender_{name}{labels(quantile=str(part))} {value:.6f}")
    lines.append(f"agegender_{name}_sum{labels()} {durations.total:.6f}")
    lines.append(f"agegender_{name}_count{labels()} {durations.count}")
    return lines


def prometheus_labels(pairs: Mapping[str, str]) -> str:
    """Labels and their values in the text format that Prometheus reads: ``{source="a.mp4"}``."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}"


def _escaped(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def memory_mb() -> float | None:
    """Resident memory of this process in MB (10^6 bytes); on other systems than Linux the most so far, or ``None``."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        try:
            import resource
        except ImportError:
            return None
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS counts in bytes, others in KiB.
        return round(most * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def return_free_memory() -> None:
    """Have the C library give memory that is free back to the system: glibc keeps it, and frames leave gaps in it.

    Does nothing with another C library.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
