"""A bounded queue that a thread empties into one receiver, so that a receiver that is slow or away holds nobody up."""

from __future__ import annotations

import math
import random
import threading
from collections import deque
from time import monotonic
from typing import Any, Protocol, Self

from agegender_core.spelling import count

_QUIET = 60.0  # seconds in which a receiver that comes and goes is reported once


class UnreachableError(OSError):
    """The receiver did not take a message now, and may later.

    Args:
        reason: in words, without credentials.
        after: seconds that the receiver asks to be left alone; ``None``: it doesn't say.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class RefusedError(ValueError):
    """The receiver will never take this message; the message says why, without credentials."""


class Link(Protocol):
    """What a carrier that keeps a connection tells of it, from any thread."""

    def up(self) -> None:
        """The receiver can be reached: what waits is tried at once."""

    def down(self, reason: str) -> None:
        """It can't, and why."""


class Carrier(Protocol):
    """A way to one receiver.

    Attributes:
        name: of the receiver as people may see it: without credentials.
    """

    @property
    def name(self) -> str:
        """See the class."""

    def open(self, link: Link) -> None:
        """Begin, without waiting for anything. Called once, before all else."""

    def deliver(self, payload: bytes) -> None:
        """Hand one message over and return when the receiver has confirmed it. From one thread alone.

        Raises:
            UnreachableError: it is to be tried again.
            RefusedError: it is not.
        """

    def close(self, seconds: float) -> None:
        """End, within about so many seconds; a `deliver` that waits in another thread raises `UnreachableError`."""


class Outbox:
    """Messages on their way to one receiver: in order, each until it is confirmed, so at least once.

    What is not taken is sent again, after a wait that doubles from `first_delay` to `longest_delay` and of which up to
    a half is left out at random, so that many senders don't come back in step. When the queue is full the oldest
    message is dropped. Use it as a context manager, or call `start` and `close`.

    Args:
        carrier: the way.
        capacity: messages that wait at most, >= 1.
        first_delay: seconds, > 0.
        longest_delay: seconds.
        patience: seconds that `close` gives the receiver.

    Attributes:
        name: the carrier's.
        delivered: messages that were confirmed.
        dropped: those for which there was no room.
        refused: those that the receiver will not take.
        lost: those that were left when it was closed; the last of them may have arrived unconfirmed.
        notes: what people should be told, oldest first, the newest hundred; who tells them takes them away.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        carrier: Carrier,
        capacity: int = 10_000,
        first_delay: float = 0.5,
        longest_delay: float = 10.0,
        patience: float = 5.0,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, got {capacity}")
        if not 0 < first_delay <= longest_delay:
            raise ValueError(f"first_delay must lie in (0, longest_delay = {longest_delay}], got {first_delay}")
        self._carrier, self._capacity = carrier, capacity
        self._first_delay, self._longest_delay, self._patience = first_delay, longest_delay, patience
        self.name = carrier.name
        self.delivered = self.dropped = self.refused = self.lost = 0
        self.notes: deque[str] = deque(maxlen=100)
        self._waiting: deque[bytes] = deque()
        self._in_work = 0
        self._changed = threading.Condition()
        self._try_now = threading.Event()
        self._away = self._away_told = self._ending = self._given_up = False
        self._told_at = -math.inf
        self._thread: threading.Thread | None = None
        self._ended, self._deadline, self._done = 0.0, math.inf, 0

    @property
    def waiting(self) -> int:
        """Messages that are not confirmed yet."""
        return len(self._waiting) + self._in_work

    @property
    def problem(self) -> str:
        """What did not arrive, in words; "" where everything did."""
        parts = (
            (self.refused, "refused"),
            (self.dropped, "dropped from a full queue"),
            (self.lost, "left at the end"),
        )
        missing = sum(number for number, _ in parts)
        if not missing:
            return ""
        how = ", ".join(f"{number:,} {what}" for number, what in parts if number)
        return f"{count(missing, 'message')} did not reach {self.name}: {how}"

    def counts(self) -> dict[str, int]:
        """How many messages were delivered, wait, and did not arrive, by why: see the attributes."""
        return {name: getattr(self, name) for name in ("delivered", "waiting", "dropped", "refused", "lost")}

    def put(self, payload: bytes) -> None:
        """Send it, some time; returns at once."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self.dropped += 1
                if self.dropped == 1:
                    self.notes.append(
                        f"{self._capacity:,} messages wait for {self.name}; from now on the oldest are dropped"
                    )
            self._waiting.append(payload)
            self._changed.notify_all()

    def up(self) -> None:
        """The receiver can be reached: what waits is tried at once. From any thread."""
        with self._changed:
            if self._away_told:
                self.notes.append(f"{self.name} can be reached again")
            self._away = self._away_told = False
        self._try_now.set()

    def down(self, reason: str) -> None:
        """The receiver can't be reached; said once until it can, and at most once a minute. From any thread."""
        with self._changed:
            if self._away or self._given_up:
                return
            self._away = True
            if monotonic() - self._told_at >= _QUIET:
                self._told_at, self._away_told = monotonic(), True
                self.notes.append(f"{self.name} can't be reached ({reason}); messages wait for it")

    def start(self) -> None:
        """Begin to send. Calls after the first one do nothing."""
        if self._thread is None:
            self._carrier.open(self)
            self._thread = threading.Thread(target=self._work, daemon=True, name=f"messages to {self.name}")
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if self._given_up or not self._waiting:
                    return
                payload = self._waiting.popleft()
                self._in_work = 1
            done = self._deliver(payload)
            with self._changed:
                if self._given_up:
                    return
                self._in_work = 0
                self.delivered += done
                self.refused += not done
                self._changed.notify_all()

    def _deliver(self, payload: bytes) -> bool:
        """Whether the receiver took it; also ends when it was given up."""
        delay = self._first_delay
        while not self._given_up:
            self._try_now.clear()
            try:
                self._carrier.deliver(payload)
            except UnreachableError as error:
                self.down(str(error))
                wait = delay * random.uniform(0.5, 1.0)
                if error.after is not None:
                    wait = min(max(wait, error.after), 6 * self._longest_delay)
                delay = min(2 * delay, self._longest_delay)
                if self._try_now.wait(wait):
                    delay = self._first_delay
            except Exception as error:  # What is wrong with one message must not keep the others.
                reason = str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
                if not self.refused:
                    self.notes.append(f"{self.name} refuses messages ({reason}); they are not sent again")
                return False
            else:
                self.up()
                return True
        return False

    def end(self) -> None:
        """No more messages come: what waits is tried at once. Calls after the first one do nothing."""
        with self._changed:
            if self._ending:
                return
            self._ending = True
            self._ended = monotonic()
            self._deadline = self._ended + self._patience
            self._changed.notify_all()
        self._try_now.set()

    def wait(self, seconds: float) -> bool:
        """After `end`, wait at most so long for what is left.

        Returns:
            Whether there is something to wait for: messages are left, and some got through in the last `patience`
            seconds.
        """
        with self._changed:
            if self.waiting and self._thread is not None:
                self._changed.wait(seconds)
            if self.delivered + self.refused > self._done:
                self._done, self._deadline = self.delivered + self.refused, monotonic() + self._patience
            return self.waiting > 0 and self._thread is not None and monotonic() < self._deadline

    def close(self, stopped: bool = False) -> None:
        """Deliver what waits, and count as lost what can't be. May be called twice.

        Args:
            stopped: somebody waits for the end, which comes `patience` seconds after `end` at the latest. Otherwise it
                goes on for as long as messages get through, and ends when none has for so long.
        """
        if self._given_up:
            return
        self.end()
        limit = self._ended + self._patience if stopped else math.inf
        grace = 0.0
        try:
            while self.wait(0.1) and monotonic() < limit:
                pass
            grace = 1.0
        finally:
            self.give_up(grace)

    def give_up(self, grace: float = 0.0) -> None:
        """Count as lost what waits, and part from the receiver. Calls after the first one do nothing.

        Args:
            grace: seconds for the parting.
        """
        with self._changed:
            if self._given_up:
                return
            self._given_up = True
            self.lost = self.waiting
            self._waiting.clear()
            self._in_work = 0
            self._changed.notify_all()
        self._try_now.set()
        if self._thread is not None:
            self._carrier.close(grace)
            self._thread.join(timeout=0.2 * grace)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        self.close(stopped=kind is not None)
