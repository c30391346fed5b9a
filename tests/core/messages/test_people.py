"""Which messages are sent about whom, and that the last one agrees with the summary."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core.faces import Faces
from agegender_core.messages import EVENTS, Link, MessageSink, Outbox
from agegender_core.pipeline import FrameResult
from agegender_core.sinks import SummarySink

FPS = 10


class Receiver:
    name = "there"

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    def open(self, link: Link) -> None:
        pass

    def deliver(self, payload: bytes) -> None:
        self.got.append(json.loads(payload.decode()))

    def close(self, seconds: float) -> None:
        pass


def result(
    number: int, ids: Sequence[int], age: float | None = 30.0, p_male: float = 0.25, source: str = "a.mp4"
) -> FrameResult:
    n = len(ids)
    faces = Faces(
        xyxy=np.tile(np.float32([10, 20, 110, 120]), (n, 1)),
        score=np.ones(n, np.float32),
        quality=np.ones(n, np.float32),
        track_id=np.array(ids, np.int64),
        time=number / FPS,
        frame=number,
        age=None if age is None else np.full(n, age, np.float32),
        age_interval=None if age is None else np.tile(np.float32([age - 8, age + 8]), (n, 1)),
        p_male=np.full(n, p_male, np.float32),
    )
    captured = 1_764_162_900.042 + number / FPS
    return FrameResult(number, number / FPS, np.zeros((4, 4, 3), np.uint8), faces, faces, source, captured)


def sent(frames: Sequence[FrameResult], **options: Any) -> list[dict[str, Any]]:
    receiver = Receiver()
    with MessageSink([Outbox(receiver)], **options) as sink:
        for frame in frames:
            sink.write(frame)
    return receiver.got


def told(messages: Sequence[dict[str, Any]]) -> list[tuple[str, int, float]]:
    return [(message["event"], message["track_id"], message["last_seen"]) for message in messages]


def test_who_comes_and_goes_has_three_messages() -> None:
    frames = [result(n, [1] if n < 30 else []) for n in range(100)]
    messages = sent(frames)
    assert told(messages) == [("arrived", 1, 0.0), ("settled", 1, 1.0), ("departed", 1, 2.9)]
    for message in messages:
        assert list(message) == [
            *("id", "run", "made", "event", "source", "track_id", "first_seen", "last_seen", "first_captured"),
            *("last_captured", "frames", "age", "age_interval_low", "age_interval_high", "gender", "p_male"),
            *("best_quality", "best_frame"),
        ]
        assert uuid.UUID(message["id"]).version == 4
        made = datetime.fromisoformat(message["made"])
        assert abs((datetime.now(UTC) - made).total_seconds()) < 60
        assert message["event"] in EVENTS
    assert len({message["id"] for message in messages}) == 3
    assert len({message["run"] for message in messages}) == 1
    left = messages[-1]
    assert (left["first_seen"], left["first_captured"], left["frames"]) == (0.0, "2025-11-26T13:15:00.042Z", 30)
    assert (left["age"], left["age_interval_low"], left["gender"], left["p_male"]) == (30.0, 22.0, "female", 0.25)


def test_the_last_message_is_the_row_of_the_summary(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = [
        result(n, [1, 2] if n % 3 else [2, 5], float(rng.uniform(20, 60)), float(rng.uniform(0, 1)), source)
        for n in range(60)
        for source in ("a.mp4", "b.mp4")
    ]
    with SummarySink(tmp_path / "people.jsonl") as summary:
        for frame in frames:
            summary.write(frame)
    rows = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text().splitlines()]
    departed = [message for message in sent(frames) if message["event"] == "departed"]
    assert len(rows) == 6
    heads = ("id", "run", "made", "event")
    assert [{key: value for key, value in one.items() if key not in heads} for one in departed] == [
        {key: value for key, value in row.items() if key != "chip"} for row in rows
    ]


def test_an_age_that_moves_settles_later_and_a_change_is_told() -> None:
    # A mean of 20 that climbs: within a year for a second first when frames have gathered.
    frames = [result(n, [1], 20.0 if n < 2 else 30.0) for n in range(60)]
    frames += [result(n, [1], 60.0) for n in range(60, 100)]
    messages = sent(frames)
    events = [message["event"] for message in messages]
    assert events[:2] == ["arrived", "settled"]
    assert messages[1]["last_seen"] > 1.0
    changes = [message for message in messages if message["event"] == "changed"]
    ages = [messages[1]["age"], *(change["age"] for change in changes)]
    assert len(changes) >= 2
    assert all(later - before >= 3 for before, later in pairwise(ages))
    times = [change["last_seen"] for change in changes]
    assert all(later - before >= 1 for before, later in pairwise(times))
    assert events[-1] == "departed"
    assert set(events[2:-1]) == {"changed"}


def test_a_gender_changes_only_when_it_is_clear() -> None:
    def genders(last: float, n: int) -> list[str]:
        frames = [result(i, [1], p_male=0.4) for i in range(20)] + [result(20 + i, [1], p_male=last) for i in range(n)]
        return [f"{one['event']} {one['gender']}" for one in sent(frames)]

    assert genders(0.6, 30) == ["arrived female", "settled female", "departed male"]  # 0.52 at the end
    assert genders(1.0, 30) == ["arrived female", "settled female", "changed male", "departed male"]


def test_who_is_in_view_is_told_every_so_often_if_asked_for() -> None:
    frames = [result(n, [1, 2] if n < 45 else [2]) for n in range(65)]
    seen = [message for message in sent(frames, every=2.0) if message["event"] == "seen"]
    assert told(seen) == [(event, who, at) for at in (2.0, 4.0) for who in (1, 2) for event in ["seen"]] + [
        ("seen", 2, 6.0)
    ]


def test_of_a_track_without_an_answer_nothing_is_sent_until_it_has_one() -> None:
    blank = [result(n, [1], age=math.nan, p_male=math.nan) for n in range(5)]
    assert sent(blank) == []
    assert told(sent([*blank, result(5, [1])])) == [("arrived", 1, 0.5), ("departed", 1, 0.5)]
    # A model that has learned one of the two.
    (arrived, departed) = sent([result(0, [1], age=None)])
    assert (arrived["age"], departed["gender"]) == (None, "female")


def test_faces_without_a_confirmed_track_are_nobody() -> None:
    assert sent([result(n, [-1, -1]) for n in range(30)]) == []
    assert sent([result(n, []) for n in range(30)]) == []


def test_a_receiver_that_hangs_does_not_hold_the_frames_up() -> None:
    receiver = Receiver()
    receiver.deliver = lambda payload: time.sleep(60)  # type: ignore[method-assign]
    start = time.monotonic()
    with MessageSink([Outbox(receiver, patience=0.2)], every=0.1) as sink:
        for n in range(500):
            sink.write(result(n, [1, 2, 3]))
        assert time.monotonic() - start < 2
    assert time.monotonic() - start < 4
    (outbox,) = sink.outboxes
    assert outbox.lost > 1000


def test_two_receivers_get_the_same_and_end_together() -> None:
    here, away = Receiver(), Receiver()
    away.deliver = lambda payload: time.sleep(60)  # type: ignore[method-assign]
    start = time.monotonic()
    with MessageSink([Outbox(away, patience=0.4), Outbox(here), Outbox(away, patience=0.4)]) as sink:
        for n in range(30):
            sink.write(result(n, [1]))
    assert time.monotonic() - start < 2
    assert [message["event"] for message in here.got] == ["arrived", "settled", "departed"]
    assert [outbox.lost for outbox in sink.outboxes] == [3, 0, 3]
    sink.close()
    assert len(here.got) == 3


def test_a_time_that_is_none() -> None:
    for every in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="every must be"):
            MessageSink([], every=every)
