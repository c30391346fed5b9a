"""Another face of the same picture chosen in a review, from the finding of it to the reading of the store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core import Aligner, HogDetector, YuNetDetector, decode_image
from agegender_core.align import LANDMARKS_PATH
from agegender_core.boxes import iou
from agegender_core.faces import Faces
from agegender_core.predict import Predictor, load_predictor
from agegender_train.review.other_faces import OtherFaces
from agegender_train.review.session import ReviewSession, open_session
from agegender_train.store import Store, decode_chip, read_decisions


@pytest.fixture
def source(source_of_two: Path) -> Path:
    return source_of_two


@pytest.fixture
def store(store_of_two: Path) -> Path:
    return store_of_two


@pytest.fixture(scope="module")
def model() -> Predictor:
    return load_predictor()


@pytest.fixture
def session(store: Path, source: Path, model: Predictor) -> Iterator[ReviewSession]:
    with open_session(store, model, partial(OtherFaces.of, source=[source])) as session:
        yield session


def smaller(session: ReviewSession) -> tuple[int, int, int, int]:
    """The box of the first picture's second face."""
    box: tuple[int, int, int, int] = session.other_faces(0)["boxes"][1]
    return box


def test_all_faces_of_the_picture_are_offered_the_largest_first(session: ReviewSession, store: Path) -> None:
    found = session.other_faces(0)
    assert (found["width"], found["height"]) == (560, 320)
    boxes = np.array(found["boxes"])
    assert len(boxes) == 2
    assert iou(boxes[:1].astype(np.float32), np.array([found["box"]], np.float32))[0, 0] > 0.5
    assert boxes[1, 0] > 300
    assert decode_image(session.picture(0), "picture").shape == (320, 560, 3)


def test_the_chosen_face_stands_for_the_stores_from_then_on(session: ReviewSession, store: Path, source: Path) -> None:
    before = Store.open(store)
    box = smaller(session)
    session.decide(0, "correct", box=box)
    after = Store.open(store)

    frame = decode_image((source / "both.jpg").read_bytes(), "both.jpg")
    faces = YuNetDetector()(frame, Faces.empty())
    (row,) = np.flatnonzero(faces.xyxy[:, 0] > 300)
    faces = Aligner(72, 0.4)(frame, faces[row : row + 1])
    assert faces.chips is not None
    assert faces.landmarks is not None
    columns = after.columns("box", "box_from", "landmarks", "score", "phash", "key", "image").to_pylist()
    assert np.rint(columns[0]["box"]).astype(int).tolist() == list(box)
    assert columns[0]["box"] == faces.xyxy[0].tolist()
    assert columns[0]["landmarks"] == faces.landmarks[0].ravel().tolist()
    assert columns[0]["box_from"] == "review"
    assert columns[0]["phash"] != before.columns("phash")["phash"][0].as_py()
    assert columns[1:] == before.columns(*columns[0]).to_pylist()[1:]
    assert np.abs(after.decode([0])[0].astype(int) - faces.chips[0]).mean() < 3
    np.testing.assert_array_equal(after.decode([1]), before.decode([1]))
    encoded = after.encoded()
    assert [encoded[0], encoded[1]] == list(after.iter_encoded()) == [session.chip(0, box), session.chip(1)]
    assert columns[0]["image"]["bytes"] == encoded[0]
    assert decode_chip(encoded[0]).shape == (72, 72, 3)

    assert after.labels().age.tolist() == [30, 40]
    assert after.reviewed == {"rejected": 0, "corrected": 1}
    assert after.fingerprint != before.fingerprint
    raw = Store.open(store, review=False)
    assert raw.fingerprint == before.fingerprint
    assert raw.encoded()[0] == before.encoded()[0] == session.chip(0)

    session.undo()
    undone = Store.open(store)
    assert undone.fingerprint == before.fingerprint
    assert undone.encoded()[0] == before.encoded()[0]


def test_label_and_box_are_corrected_one_after_the_other(session: ReviewSession, store: Path) -> None:
    box = smaller(session)
    session.decide(0, "correct", age=(33, 33))
    session.decide(0, "correct", box=box)
    session.decide(0, "correct", gender=1)
    session.decide(0, "accept")
    assert Store.open(store).decisions["both.jpg", 0].box == box
    labels = Store.open(store).labels()
    assert (labels.age[0], labels.gender[0]) == (33, 1)
    # Back to the store's label, the box still is a correction.
    session.decide(0, "correct", age=(30, 30), gender=0)
    (face,) = session.faces([0])
    assert (face["state"], face["box"], face["corrected_age"], face["corrected_gender"]) == (3, box, None, None)
    assert (store / "review.csv").read_text().splitlines()[0] == "time,key,face,action,age_low,age_high,gender,box"
    assert session.other_faces(0)["box"] == box


def test_predictions_of_the_stores_face_are_not_those_of_the_chosen_one(session: ReviewSession) -> None:
    session.predictions.age, session.predictions.p_male = np.array([90, 80], np.float32), np.ones(2, np.float32)
    session.decide(0, "correct", box=smaller(session))
    first, second = session.faces([0, 1])
    assert (first["predicted_age"], first["predicted_p_male"], second["predicted_age"]) == (None, None, 80)
    assert session.predictions.age[0] == 90


def test_a_session_goes_on_without_the_source(session: ReviewSession, store: Path, model: Predictor) -> None:
    box = smaller(session)
    session.decide(0, "correct", box=box)
    kept = session.chip(0, box)
    again = ReviewSession(Store.open(store, review=False), session._log, model)
    assert again.faces([0])[0]["box"] == box
    assert again.chip(0, box) == kept
    assert again.about()["detector"] is None
    for ask in (partial(again.other_faces, 1), partial(again.picture, 1), partial(again.decide, 1, "correct", box=box)):
        with pytest.raises(LookupError, match="agegender review STORE --source PATH"):
            ask()


def test_what_was_not_found_can_not_be_chosen(session: ReviewSession, store: Path) -> None:
    left, top, right, bottom = smaller(session)
    with pytest.raises(ValueError, match="there is no face at"):
        session.decide(0, "correct", box=(left + 1, top, right, bottom))
    with pytest.raises(ValueError, match="goes with"):
        session.decide(0, "accept", box=(left, top, right, bottom))
    assert read_decisions(store / "review.csv") == []
    assert list(store.glob("review/*.parquet")) == []


def test_the_detector_is_the_one_asked_for(store: Path, source: Path, model: Predictor) -> None:
    with open_session(store, model, partial(OtherFaces.of, source=[source], detector="hog")) as session:
        assert session.about()["detector"] == "hog"
        frame = decode_image((source / "one.jpg").read_bytes(), "one.jpg")
        expected = HogDetector()(frame, Faces.empty()).xyxy
        assert session.other_faces(1)["boxes"] == [tuple(box) for box in expected.astype(int).tolist()]


@pytest.mark.parametrize("change", ["another source", "another landmark model", "no such source", "no such detector"])
def test_what_the_store_was_not_made_with_is_refused(
    store: Path, source: Path, model: Predictor, tmp_path: Path, change: str
) -> None:
    named: dict[str, Any] = {"source": [source]}
    if change == "another source":
        named["source"], message = [tmp_path], "isn't what .* was made of, or has changed since"
    elif change == "another landmark model":
        other = tmp_path / "other.dat"
        other.write_bytes(LANDMARKS_PATH.read_bytes() + b" ")
        named["landmarks"], message = other, "give the same with --landmarks"
    elif change == "no such source":
        named["source"], message = [tmp_path / "gone"], "gone"
    else:
        named["detector"], message = "eyes", "detector must be yunet, hog"
    with pytest.raises((ValueError, OSError), match=message):
        OtherFaces.of(Store.open(store), **named)


def test_a_picture_that_is_gone_is_named(session: ReviewSession, source: Path) -> None:
    moved = (source / "one.jpg").rename(source / "moved.jpg")
    try:
        with pytest.raises(OSError, match=r"one\.jpg"):
            session.other_faces(1)
    finally:
        moved.rename(source / "one.jpg")


def test_a_face_that_was_not_kept_is_named_by_the_store(session: ReviewSession, store: Path) -> None:
    session.decide(0, "correct", box=smaller(session))
    (kept,) = store.glob("review/face-*.parquet")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:50])
    with pytest.raises(OSError, match=kept.name):
        len(Store.open(store))
    kept.unlink()
    with pytest.raises(FileNotFoundError, match=r"another face of both\.jpg.*review --source"):
        len(Store.open(store))


def test_over_the_wire(session: ReviewSession, store: Path) -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    from starlette.testclient import TestClient

    from agegender_train.review.server import review_app

    origin = "http://127.0.0.1:1234"
    with TestClient(review_app(session, "secret"), f"{origin}/secret", headers={"Origin": origin}) as client:
        assert client.get("/api/about").json()["detector"] == "yunet"
        box = client.get("/api/others?row=0").json()["boxes"][1]
        assert client.get("/picture/0").content[:2] == b"\xff\xd8"
        (face,) = client.post("/api/decide", json={"row": 0, "action": "correct", "box": box}).json()["faces"]
        assert (face["box"], face["state"]) == (box, 3)
        chip = client.get(f"/chip/0?box={','.join(map(str, box))}")
        assert chip.content == Store.open(store).encoded()[0] != client.get("/chip/0").content
        assert chip.headers["etag"] != client.get("/chip/0").headers["etag"]
        for path, code in (
            ("/api/others", 400), ("/api/others?row=2", 404), ("/picture/2", 404), ("/picture/x", 404),
            ("/chip/0?box=1,2,3,4", 404), ("/chip/0?box=1,2,3", 400), ("/chip/0?box=3,2,1,4", 400),
            ("/chip/0?box=../../x,1,2,3", 400),
        ):  # fmt: skip
            assert client.get(path).status_code == code, path
        for wrong in ([0, 0, 5, 5], [0, 0, 5], "0,0,5,5", [0, 0, 5.0, 5], [True, 0, 5, 5], {"a": 1}):
            answer = client.post("/api/decide", json={"row": 0, "action": "correct", "box": wrong})
            assert answer.status_code == 400, wrong
    without = ReviewSession(session.store, session._log, load_predictor())
    with TestClient(review_app(without, "secret"), f"{origin}/secret", headers={"Origin": origin}) as client:
        answer = client.post("/api/decide", json={"row": 1, "action": "correct", "box": box})
        assert (answer.status_code, "--source" in answer.json()["problem"]) == (404, True)
