from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agegender_core.predict import Prediction
from agegender_train.files import folder_lock
from agegender_train.review.predictions import Predictions
from agegender_train.review.selection import Selection
from agegender_train.review.session import ReviewSession, open_session
from agegender_train.store import Decision, Store, read_decisions


class Brightness:
    """A model: the brighter, the older; everybody male with 0.75."""

    name = "brightness"

    def __init__(self, folder: Path, size: int = 72) -> None:
        self.spec = SimpleNamespace(chip_size=size, chip_padding=0.4)
        self.path = folder / "brightness.onnx"
        self.path.write_bytes(b"a model")
        self.calls = 0
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        self.asked.set()
        assert self.go_on.wait(10)
        self.calls += 1
        age = chips.astype(np.float32).mean(axis=(1, 2, 3)) / 3
        return Prediction(age, age, np.full(len(chips), 0.75, np.float32))


@pytest.fixture
def model(tmp_path: Path) -> Brightness:
    return Brightness(tmp_path)


@pytest.fixture(scope="module")
def store(make_store: Callable[..., Store]) -> Store:
    return make_store("reviewed", 300, exact=True, genders=(0, 1, None))


@pytest.fixture
def session(store: Store, model: Brightness) -> Iterator[ReviewSession]:
    with open_session(store.path, model) as session:
        yield session
    (store.path / "review.csv").unlink(missing_ok=True)


def wait_for(session: ReviewSession) -> None:
    deadline = time.monotonic() + 20
    known = session.predictions
    while known.running or (known.age is None and not known.problem):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def face(session: ReviewSession, row: int) -> dict[str, Any]:
    (found,) = session.faces([row])
    return found


def test_decisions_are_written_and_found_again(session: ReviewSession, store: Store, model: Brightness) -> None:
    session._now = lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    session.decide(0, "accept")
    session.decide(1, "reject")
    session.decide(2, "correct", age=(40, 49))
    session.decide(2, "correct", gender=0)
    written = read_decisions(store.path / "review.csv")
    assert written == [
        Decision("0.jpg", 0, "accept", time="2026-02-03T04:05:06Z"),
        Decision("1.jpg", 0, "reject", time="2026-02-03T04:05:06Z"),
        Decision("2.jpg", 0, "correct", 40, 49, time="2026-02-03T04:05:06Z"),
        Decision("2.jpg", 0, "correct", 40, 49, 0, time="2026-02-03T04:05:06Z"),
    ]
    assert [known["state"] for known in session.faces([0, 1, 2, 3])] == [1, 2, 3, 0]
    known = face(session, 2)
    assert (known["corrected_age"], known["corrected_gender"], known["gender"]) == ([40, 49], 0, None)
    assert known["age"] == [store.labels().age_low[2]] * 2
    assert session.summary() == "1 accepted, 1 rejected, 1 corrected"
    again = ReviewSession(store, session._log, model)
    assert [known["state"] for known in again.faces([0, 1, 2, 3])] == [1, 2, 3, 0]
    assert again.undo() == 2
    assert face(again, 2)["corrected_gender"] is None


def test_undo_goes_back_through_all_decisions(session: ReviewSession, store: Store) -> None:
    assert session.undo() is None
    for row, action in ((5, "accept"), (6, "reject"), (5, "reject")):
        session.decide(row, action)
    assert [face(session, row)["state"] for row in (5, 6)] == [2, 2]
    assert session.undo() == 5
    assert [face(session, row)["state"] for row in (5, 6)] == [1, 2]
    assert [session.undo(), session.undo(), session.undo()] == [6, 5, None]
    assert [face(session, row)["state"] for row in (5, 6)] == [0, 0]
    assert len(read_decisions(store.path / "review.csv")) == 6
    assert Store.open(store.path).fingerprint == store.fingerprint


def test_what_changes_nothing_is_not_written(session: ReviewSession, store: Store) -> None:
    def lines() -> int:
        return len(read_decisions(store.path / "review.csv"))

    session.decide(0, "accept")
    session.decide(0, "accept")
    assert lines() == 1
    session.decide(1, "correct", age=(50, 50))
    session.decide(1, "accept")  # of the corrected label
    session.decide(1, "correct", age=(50, 50))
    assert (lines(), face(session, 1)["state"]) == (2, 3)
    label = float(store.labels().age_low[1])
    session.decide(1, "correct", age=(label, label))  # as the store has it
    assert (lines(), face(session, 1)["state"]) == (3, 1)
    session.decide(1, "correct", gender=0)
    session.decide(1, "correct", gender=1)
    assert face(session, 1)["state"] == 1
    session.decide(1, "reject")
    session.decide(1, "accept")
    assert face(session, 1)["state"] == 1


def test_what_can_not_be_decided_leaves_no_trace(session: ReviewSession, store: Store) -> None:
    for row, arguments, error, message in (
        (300, ("accept",), IndexError, r"row must be in 0\.\.299, got 300"),
        (-1, ("accept",), IndexError, "got -1"),
        (0, ("burn",), ValueError, "action must be one of"),
        (0, ("correct",), ValueError, "goes with"),
        (0, ("correct", (1, 200)), ValueError, "ages must rise"),
        (0, ("accept", None, 1), ValueError, "goes with"),
    ):
        with pytest.raises(error, match=message):
            session.decide(row, *arguments)
    with pytest.raises(IndexError):
        session.faces([0, 300])
    assert not (store.path / "review.csv").exists()


def test_what_is_not_saved_is_not_shown(session: ReviewSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    session.decide(3, "accept")
    monkeypatch.setattr(session._log, "append", full)
    for act in (lambda: session.decide(3, "reject"), session.undo):
        with pytest.raises(OSError, match="No space left"):
            act()
    assert face(session, 3)["state"] == 1


def test_another_tab_is_told_of_changes(session: ReviewSession) -> None:
    begin = session.about()["version"]
    session.decide(7, "accept")
    session.decide(8, "reject")
    now = session.changes(begin)
    assert (now["version"] - begin, now["changed"], now["can_undo"]) == (2, [[7, 1], [8, 2]], True)
    session.undo()
    assert session.changes(now["version"])["changed"] == [[8, 0]]
    assert session.changes(10**6)["changed"] == []


def test_decisions_on_faces_that_are_gone_stay_in_the_file(store: Store, model: Brightness) -> None:
    file = store.path / "review.csv"
    file.write_text("time,key,face,action,age_low,age_high,gender\n,gone.jpg,0,reject,,,\n,0.jpg,0,accept,,,\n,cut")
    try:
        with open_session(store.path, model) as session:
            assert session.repaired
            assert session.summary() == "1 accepted, 0 rejected, 0 corrected"
            assert [session.undo(), session.undo()] == [0, None]
        assert [decision.key for decision in read_decisions(file)] == ["gone.jpg", "0.jpg", "0.jpg"]
    finally:
        file.unlink()


def test_a_second_session_is_refused(session: ReviewSession, store: Store, model: Brightness) -> None:
    with pytest.raises(OSError, match="another process is working on"), open_session(store.path, model):
        pass
    with pytest.raises(FileNotFoundError, match="is no folder"), open_session(store.path / "nothing", model):
        pass
    assert not (store.path / "nothing").exists()


def test_the_lock_ends_with_the_session(store: Store, model: Brightness) -> None:
    with open_session(store.path, model):
        pass
    with folder_lock(store.path):
        pass


def test_predictions_sort_the_faces_and_are_kept(
    session: ReviewSession, store: Store, model: Brightness, tmp_path: Path
) -> None:
    by_age = Selection(order="age-error")
    assert session.select(by_age)[0].tolist() == list(range(300))
    assert face(session, 0)["predicted_age"] is None
    model.go_on.clear()
    session.predictions.start()
    session.predictions.start()
    assert session.about()["model"]["running"]
    model.go_on.set()
    wait_for(session)
    assert session.about()["model"] == {
        "name": "brightness.onnx", "ready": True, "running": False, "done": 300, "problem": "",
    }  # fmt: skip
    expected = store.decode(range(300)).astype(np.float32).mean(axis=(1, 2, 3)) / 3
    np.testing.assert_allclose(session.predictions.age, expected, rtol=1e-6)
    rows, states = session.select(by_age)
    errors = np.abs(store.labels().age_low - expected)
    assert np.all(np.diff(errors[rows]) <= 0)
    assert states.tolist() == [0] * 300
    assert face(session, 0)["predicted_age"] == pytest.approx(expected[0], abs=0.06)
    assert face(session, 0)["predicted_p_male"] == 0.75
    kept = Predictions(store, model)
    calls = model.calls
    kept.start()
    assert not kept.running
    assert model.calls == calls
    np.testing.assert_array_equal(kept.age, session.predictions.age)
    (file,) = (store.path / "review").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert Predictions(store, model).age is None  # a damaged file is made again
    other = Brightness(tmp_path)
    other.path.write_bytes(b"another model")
    assert Predictions(store, other).age is None


def test_a_model_that_fits_not_or_fails_says_so(store: Store, tmp_path: Path) -> None:
    misfit = Predictions(store, Brightness(tmp_path, size=64))
    misfit.start()
    assert not misfit.running
    assert "wants chips of 64 px with padding 0.4, the store has 72 px" in misfit.problem
    model = Brightness(tmp_path)
    model.path.write_bytes(b"a model that fails")
    model.predict_chips = lambda chips: 1 / 0
    failing = Predictions(store, model)
    failing.start()
    deadline = time.monotonic() + 20
    while not failing.problem:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    failing.stop()
    assert failing.age is None
    assert failing.problem == "brightness.onnx could not predict the faces: division by zero"


def test_a_session_ends_though_the_model_is_at_work(store: Store, tmp_path: Path) -> None:
    model = Brightness(tmp_path)
    model.path.write_bytes(b"a model that is stopped")
    model.go_on.clear()
    with open_session(store.path, model) as session:
        session.predictions.start()
        assert model.asked.wait(10)
        threading.Timer(0.2, model.go_on.set).start()
    assert model.calls == 1
    assert session.predictions.age is None
    assert not session.predictions.running
