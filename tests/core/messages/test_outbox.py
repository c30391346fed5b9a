"""Messages wait for their receiver in order, within bounds, and the pipeline does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agegender_core.messages import Link, Outbox, RefusedError, UnreachableError

QUICK = {"first_delay": 0.01, "longest_delay": 0.02, "patience": 0.3}


class Receiver:
    """Takes messages; `answers` are what it does with the next ones: an error to raise, or a function to call."""

    name = "there"

    def __init__(self, *answers: Any) -> None:
        self.answers, self.got, self.tried, self.closed = list(answers), [], 0, 0
        self.gate = threading.Event()
        self.gate.set()

    def open(self, link: Link) -> None:
        self.link = link

    def deliver(self, payload: bytes) -> None:
        self.tried += 1
        self.gate.wait(20)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.got.append(payload)

    def close(self, seconds: float) -> None:
        self.closed += 1


def numbered(n: int) -> list[bytes]:
    return [b"%d" % i for i in range(n)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_all_arrive_once_and_in_order_though_five_attempts_fail() -> None:
    receiver = Receiver(None, *[UnreachableError("status 500")] * 5)
    with Outbox(receiver, **QUICK) as outbox:
        for payload in numbered(100):
            outbox.put(payload)
    assert receiver.got == numbered(100)
    assert receiver.tried == 105
    assert outbox.counts() == {"delivered": 100, "waiting": 0, "dropped": 0, "refused": 0, "lost": 0}
    assert outbox.problem == ""
    assert list(outbox.notes) == [
        "there can't be reached (status 500); messages wait for it",
        "there can be reached again",
    ]
    assert receiver.closed == 1


def test_one_that_comes_and_goes_is_told_of_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver(*[UnreachableError("status 503"), None] * 20)
    with Outbox(receiver, **QUICK) as outbox:
        for payload in numbered(20):
            outbox.put(payload)
        until(lambda: outbox.delivered == 20)
        assert len(outbox.notes) == 2
        receiver.answers = [UnreachableError("status 502")]
        monkeypatch.setattr("agegender_core.messages.outbox._QUIET", 0)
        outbox.put(b"x")
        until(lambda: outbox.delivered == 21)
    assert list(outbox.notes)[2:] == [
        "there can't be reached (status 502); messages wait for it",
        "there can be reached again",
    ]


def test_waits_grow_to_the_longest_and_not_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_core.messages.outbox.random.uniform", lambda low, high: high)
    outbox = Outbox(Receiver(*[UnreachableError("away")] * 6), first_delay=0.01, longest_delay=0.04)
    waits: list[float] = []
    monkeypatch.setattr(outbox._try_now, "wait", waits.append)
    with outbox:
        outbox.put(b"x")
        until(lambda: outbox.delivered == 1)
    assert waits == [0.01, 0.02, 0.04, 0.04, 0.04, 0.04]


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    receiver = Receiver(UnreachableError("status 429", after=0.11))
    with Outbox(receiver, **QUICK) as outbox:
        start = time.monotonic()
        outbox.put(b"x")
        until(lambda: receiver.got == [b"x"])
    assert time.monotonic() - start >= 0.11  # the longest delay of our own is 0.02


def test_no_receiver_is_left_alone_for_longer_than_six_of_our_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(Receiver(UnreachableError("status 503", after=86_400.0)))
    waits: list[float] = []
    monkeypatch.setattr(outbox._try_now, "wait", waits.append)
    with outbox:
        outbox.put(b"x")
        until(lambda: outbox.delivered == 1)
    assert waits == [60.0]


def test_what_is_refused_is_not_sent_again_and_is_said_once() -> None:
    receiver = Receiver(RefusedError("status 401"), None, RefusedError("status 404"), KeyError("a bug"))
    with Outbox(receiver, **QUICK) as outbox:
        for payload in numbered(6):
            outbox.put(payload)
    assert receiver.got == [b"1", b"4", b"5"]
    assert receiver.tried == 6
    assert list(outbox.notes) == ["there refuses messages (status 401); they are not sent again"]
    assert outbox.problem == "3 messages did not reach there: 3 refused"


def test_a_full_queue_drops_the_oldest_and_holds_nobody_up() -> None:
    receiver = Receiver()
    receiver.gate.clear()
    outbox = Outbox(receiver, capacity=10, **QUICK)
    with outbox:
        outbox.put(b"first")
        until(lambda: receiver.tried == 1)
        start = time.monotonic()
        for payload in numbered(1000):
            outbox.put(payload)
        assert time.monotonic() - start < 1
        assert outbox.waiting == 11
        assert len(outbox.notes) == 1
        assert outbox.notes[0] == "10 messages wait for there; from now on the oldest are dropped"
        receiver.gate.set()
    assert receiver.got == [b"first", *numbered(1000)[-10:]]
    assert (outbox.dropped, outbox.delivered) == (990, 11)
    assert outbox.problem == "990 messages did not reach there: 990 dropped from a full queue"


def test_a_minute_at_a_hundred_messages_a_second_fits_into_the_queue() -> None:
    outbox = Outbox(Receiver())
    for payload in numbered(6000):
        outbox.put(payload)
    assert (outbox.waiting, outbox.dropped) == (6000, 0)


def test_what_is_left_at_the_end_is_given_up_and_counted() -> None:
    receiver = Receiver(*[UnreachableError("away")] * 10_000)
    start = time.monotonic()
    with Outbox(receiver, **QUICK) as outbox:
        for payload in numbered(3):
            outbox.put(payload)
    assert 0.3 <= time.monotonic() - start < 2
    assert outbox.problem == "3 messages did not reach there: 3 left at the end"
    assert outbox.waiting == 0
    tried = receiver.tried
    time.sleep(0.05)
    assert receiver.tried == tried
    outbox.close()
    assert outbox.lost == 3


def test_one_that_hangs_holds_the_end_up_for_no_longer() -> None:
    receiver = Receiver()
    receiver.gate.clear()
    start = time.monotonic()
    with Outbox(receiver, **QUICK) as outbox:
        outbox.put(b"0")
        outbox.put(b"1")
    assert time.monotonic() - start < 2
    assert outbox.lost == 2
    receiver.gate.set()
    until(lambda: receiver.got == [b"0"])  # it may arrive after all, as the attribute says
    assert outbox.counts() == {"delivered": 0, "waiting": 0, "dropped": 0, "refused": 0, "lost": 2}


def slow(outbox: Outbox, receiver: Receiver) -> None:
    take = receiver.deliver
    receiver.deliver = lambda payload: (time.sleep(0.1), take(payload))  # type: ignore[method-assign]
    for payload in numbered(8):
        outbox.put(payload)


def test_the_end_goes_on_while_messages_get_through() -> None:
    receiver = Receiver()
    with Outbox(receiver, **QUICK) as outbox:
        slow(outbox, receiver)
    assert receiver.got == numbered(8)


def test_somebody_who_stops_it_waits_for_the_patience_at_most() -> None:
    receiver = Receiver()
    outbox = Outbox(receiver, **QUICK)

    def stopped() -> None:
        with outbox:
            slow(outbox, receiver)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert time.monotonic() - start < 0.7
    assert outbox.delivered >= 1
    assert outbox.delivered + outbox.lost == 8
    assert outbox.lost >= 1


def test_a_connection_that_comes_up_has_what_waits_tried_at_once() -> None:
    receiver = Receiver(UnreachableError("away"))
    with Outbox(receiver, first_delay=60, longest_delay=60) as outbox:
        outbox.put(b"x")
        until(lambda: bool(outbox.notes))
        receiver.link.up()
        until(lambda: receiver.got == [b"x"])
    assert list(outbox.notes)[1:] == ["there can be reached again"]


@pytest.mark.parametrize("options", [{"capacity": 0}, {"first_delay": 0}, {"first_delay": 2, "longest_delay": 1}])
def test_options_out_of_their_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(capacity|first_delay) must "):
        Outbox(Receiver(), **options)
