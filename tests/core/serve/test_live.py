from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from agegender_core.faces import Faces
from agegender_core.images import decode_image
from agegender_core.pipeline import FrameResult
from agegender_core.serve.live import LiveNumbers, LivePicture, LiveView

IMAGE = np.zeros((48, 64, 3), np.uint8)


def result(time: float, **people: float | None) -> FrameResult:
    """A frame with people by their track, "t7" or so, and how likely each is male; "t_1" has no confirmed track."""
    tracks = [int(name[1:].replace("_", "-")) for name in people]
    p_male = np.array([np.nan if p is None else p for p in people.values()], np.float32)
    boxes = np.tile(np.array([1, 2, 11, 12], np.float32), (len(people), 1))
    faces = Faces(boxes, track_id=np.array(tracks, np.int64), p_male=p_male)
    return FrameResult(round(25 * time), time, IMAGE, faces, faces)


def test_people_are_counted_once_by_their_last_gender() -> None:
    numbers = LiveNumbers()
    numbers.write(result(0.0, t1=0.4, t2=0.9, t_1=0.1))
    numbers.write(result(1.0, t1=0.8, t3=None))
    state = numbers.state()
    assert [(face["track_id"], face["seconds"]) for face in state["faces"]] == [(1, 1.0), (3, 0.0)]
    assert state["people"] == {"female": 0, "male": 2, "unknown": 1}
    # What is over is counted on; a short absence is none.
    numbers.write(result(4.0, t2=0.9))
    numbers.write(result(30.0, t4=0.1))
    state = numbers.state()
    assert state["people"] == {"female": 1, "male": 2, "unknown": 1}
    assert (state["frames"], state["time"]) == (4, 30.0)
    assert len(numbers._state.people) == 1


def test_a_frame_without_tracks_shows_nobody() -> None:
    numbers = LiveNumbers()
    faces = Faces(np.zeros((1, 4), np.float32))
    numbers.write(FrameResult(0, 0.0, IMAGE, faces, faces))
    assert numbers.state()["faces"] == []


def test_the_history_has_a_point_a_second_and_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("agegender_core.serve.live.time.time", lambda: now)
    numbers = LiveNumbers()
    for step in range(2000):
        now = 1000.0 + step / 2
        numbers.write(result(step / 2, **({"t1": 0.9} if step % 4 < 2 else {})))
    history = numbers.state()["history"]
    assert len(history) == 600
    assert [point[1] for point in history[-4:]] == [1, 0, 1, 0]
    assert history[-1][0] - history[-2][0] == 1.0
    assert history[-1][2] == 1


def test_what_is_counted_is_that_of_the_newest_frame() -> None:
    numbers, counts = LiveNumbers(), [{"line": "door", "in": 0, "out": 0}]
    assert numbers.state()["counts"] == []
    numbers.counted = lambda: [dict(one) for one in counts]
    numbers.write(result(0.0))
    counts[0]["in"] = 1
    assert numbers.state()["counts"] == [{"line": "door", "in": 0, "out": 0}]
    numbers.write(result(0.1))
    assert numbers.state()["counts"] == [{"line": "door", "in": 1, "out": 0}]


def test_the_newest_frame_is_encoded_once_and_at_most_1280_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    from agegender_core.serve import live

    jpeg = live.jpeg
    monkeypatch.setattr(live, "jpeg", lambda *arguments: encoded.append(0) or jpeg(*arguments))
    picture = LivePicture()
    picture.write(IMAGE, 0.0)
    picture.write(np.full((1000, 2560, 3), 200, np.uint8), 0.04)
    viewers = [threading.Thread(target=picture.jpeg) for _ in range(8)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    number, data = picture.jpeg()
    assert (number, len(encoded)) == (2, 1)
    shown = decode_image(data)
    assert shown.shape == (500, 1280, 3)
    assert abs(int(shown.mean()) - 200) <= 1


def test_a_view_without_frames_has_no_pictures() -> None:
    view = LiveView(["a\udcff.mp4", "b.mp4"], shows_frames=False)
    assert view.pictures == []
    assert [source["source"] for source in view.state()["sources"]] == ["a\\xff.mp4", "b.mp4"]
