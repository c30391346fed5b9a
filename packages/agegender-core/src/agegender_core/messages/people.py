"""What is worth a message: somebody who appears, whose answer settles or changes, and who leaves."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from agegender_core.records import utc_text
from agegender_core.sinks.totals import Answer, TrackKey, TrackTotal, TrackTotals

from .outbox import Outbox

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

EVENTS = ("arrived", "settled", "changed", "seen", "departed")
"""What a message may be about: see `MessageSink`."""

_STILL, _FOR = 1.0, 1.0  # an answer has settled when it has moved by so few years for so many seconds
_CHANGE = 3.0  # years
_CLEAR = 0.05  # from 0.5: nearer to it a mean goes to and fro
_PAUSE = 1.0  # seconds between two messages of changes of one person


@dataclass
class _Told:
    """What the messages about one track have said, and the answer that it has had since `still_since`."""

    answer: Answer
    changed_at: float
    seen_at: float
    still: Answer
    still_since: float
    settled: bool = False


class MessageSink:
    """Sends messages about people to one or more receivers.

    A message is a JSON object in UTF-8: ``id`` (a UUID, the same at every receiver and each time it is sent), ``run``
    (a UUID of this sink: each run numbers tracks from 1), ``made`` (when, UTC), ``event``, and the columns of
    `SummarySink` but for ``chip``, of the track so far. The events are `EVENTS`:

    - arrived: a confirmed track has its first answer.
    - settled: its age has stayed within a year, and its gender the same, for a second; once a track.
    - changed: after that, the age is 3 years from what the last of these messages said, or the gender is another one
      with a probability of 0.55 or more; at most once a second.
    - seen: it is in view; every so many seconds, if asked for.
    - departed: it has not been seen for `over_after` seconds, or the sink is closed. Its row is that of the summary.

    Of a track without any answer nothing is sent. Rows of `write_rows`, such as what happens at lines and in zones, are
    sent as messages with their own columns, of which one is ``event``.

    Args:
        outboxes: of the receivers; they are started with the sink and closed with it.
        every: seconds from one message "seen" about a person to the next, > 0; ``None``: there are none.
        over_after: seconds without a face after which a track is over.

    Attributes:
        done: never.

    Raises:
        ValueError: `every` is not a number above 0.
    """

    done = False

    def __init__(self, outboxes: Sequence[Outbox], every: float | None = None, over_after: float = 5.0) -> None:
        if every is not None and not (math.isfinite(every) and every > 0):
            raise ValueError(f"every must be a number of seconds above 0, got {every}")
        self.outboxes = tuple(outboxes)
        self._every = math.inf if every is None else every
        self._run = str(uuid.uuid4())
        self._totals = TrackTotals(over_after)
        self._told: dict[TrackKey, _Told] = {}

    def write(self, result: FrameResult) -> None:
        """Take one frame in; never waits for a receiver."""
        for key, track in self._totals.add(result).items():
            self._tell_of(key, track, result.time)
        self._tell_who_departed(self._totals.take_over(result.source, result.time))

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Send each row as a message; never waits for a receiver."""
        for row in rows:
            self._send(row)

    def _tell_of(self, key: TrackKey, track: TrackTotal, now: float) -> None:
        answer, told = track.answer, self._told.get(key)
        if told is None:
            if answer != (None, None):
                self._told[key] = _Told(answer, now, now, answer, now)
                self._send(track.row(key), "arrived")
            return
        if not told.settled:
            if _differ(told.still, answer, _STILL):
                told.still, told.still_since = answer, now
            elif now - told.still_since >= _FOR:
                told.settled, told.answer, told.changed_at = True, answer, now
                self._send(track.row(key), "settled")
        elif now - told.changed_at >= _PAUSE and _differ(told.answer, answer, _CHANGE):
            told.answer, told.changed_at = answer, now
            self._send(track.row(key), "changed")
        if now - told.seen_at >= self._every:
            told.seen_at = now
            self._send(track.row(key), "seen")

    def _tell_who_departed(self, tracks: dict[TrackKey, TrackTotal]) -> None:
        for key, track in tracks.items():
            if self._told.pop(key, None) is not None:
                self._send(track.row(key), "departed")

    def _send(self, row: Mapping[str, Any], event: str | None = None) -> None:
        head = {"id": str(uuid.uuid4()), "run": self._run, "made": utc_text(time.time()), "event": event}
        payload = json.dumps({**head, **row}, ensure_ascii=False, allow_nan=False).encode()
        for outbox in self.outboxes:
            outbox.put(payload)

    def end(self) -> None:
        """No more frames come: those who are still there depart. May be called twice."""
        self._tell_who_departed(self._totals.take_all())
        for outbox in self.outboxes:
            outbox.end()

    def wait(self, seconds: float) -> bool:
        """After `end`, wait about so long; returns whether there is something to wait for: see `Outbox.wait`."""
        share = seconds / max(len(self.outboxes), 1)
        going = [outbox.wait(share) for outbox in self.outboxes]
        return any(going)

    def close(self, stopped: bool = False) -> None:
        """Ends it, and closes the outboxes: see `Outbox.close`. May be called twice."""
        self.end()  # of all at once, that they don't wait for one another
        try:
            for outbox in self.outboxes:
                outbox.close(stopped)
        finally:
            for outbox in self.outboxes:
                outbox.give_up()

    def __enter__(self) -> Self:
        for outbox in self.outboxes:
            outbox.start()
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        self.close(stopped=kind is not None)


def _differ(before: Answer, now: Answer, years: float) -> bool:
    if before.age is None or now.age is None:
        other_age = before.age is not now.age
    else:
        other_age = abs(now.age - before.age) >= years
    unclear = now.p_male is not None and abs(now.p_male - 0.5) < _CLEAR
    return other_age or (before.gender != now.gender and not unclear)
