from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from agegender_core.faces import Faces, Frame
from agegender_core.images import decode_image
from agegender_core.picture_rows import empty_row
from agegender_core.pipeline import Pipeline
from agegender_core.records import face_records
from agegender_core.serve.batching import Batcher, Picture, QueueFullError


def png(width: int = 40, height: int = 30, level: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


class Gate:
    """Stands for a pipeline: waits until it is opened; keeps the sizes of the batches."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.batches: list[int] = []

    def batch(self, frames: Sequence[Frame]) -> list[Faces]:
        self.batches.append(len(frames))
        assert self.open.wait(20)
        if any(frame[0, 0, 0] == 99 for frame in frames):
            raise cv2.error("no such pixels")
        return [Faces.empty() for _ in frames]


def test_answers_are_those_of_the_pipeline_whatever_shares_a_batch(pipeline: Pipeline, face: bytes) -> None:
    frame = decode_image(face)
    _, mirrored = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(frame[:, ::-1]), cv2.COLOR_RGB2BGR))
    contents = [face, b"", mirrored.tobytes(), png(), face[:5000], b"no picture", face]
    with Batcher(pipeline, batch=4, workers=1) as batcher:
        futures = batcher.submit([Picture(f"{n}.x", content) for n, content in enumerate(contents)])
        answers = [future.result(60) for future in futures]
    for number, (content, answer) in enumerate(zip(contents, answers, strict=True)):
        expected = empty_row(f"{number}.x")
        try:
            image = decode_image(content, f"{number}.x")
        except ValueError as error:
            expected["error"] = str(error).removeprefix(f"{number}.x: ")
        else:
            expected |= {"width": image.shape[1], "height": image.shape[0], "faces": face_records(pipeline(image))}
        assert answer.row == expected
        assert answer.outcome == ("unreadable" if expected["error"] else "read")
    assert [len(answer.row["faces"]) for answer in answers] == [1, 0, 1, 0, 0, 0, 1]


def test_what_comes_while_all_are_at_work_is_the_next_batch() -> None:
    gate = Gate()
    with Batcher(gate, batch=4, workers=1) as batcher:  # type: ignore[arg-type]
        first = batcher.submit([Picture("a", png())])
        while not gate.batches:
            threading.Event().wait(0.01)
        rest = [future for _ in range(6) for future in batcher.submit([Picture("b", png())])]
        assert batcher.waiting == 6
        gate.open.set()
        assert all(future.result(20).outcome == "read" for future in [*first, *rest])
    assert gate.batches == [1, 4, 2]


def test_a_batch_has_no_more_pixels_than_one_picture_may_have() -> None:
    gate = Gate()
    gate.open.set()
    with Batcher(gate, max_pixels=3000, batch=8, workers=1) as batcher:  # type: ignore[arg-type]
        pictures = [Picture("a", png(40, 30)), Picture("b", png(40, 30)), Picture("c", png(60, 50))]
        for future in batcher.submit(pictures):
            assert future.result(20).outcome == "read"
        (large,) = batcher.submit([Picture("d", png(61, 50))])
        # OpenCV alone knows the size of such a file.
        _, pnm = cv2.imencode(".ppm", np.zeros((51, 60, 3), np.uint8))
        (unknown,) = batcher.submit([Picture("e", pnm.tobytes())])
        assert large.result(20).outcome == unknown.result(20).outcome == "too large"
        assert "declares 3,050 pixels, more than the 3,000" in large.result().row["error"]
        assert "has 3,060 pixels" in unknown.result().row["error"]
    assert gate.batches == [2, 1]


def test_a_picture_that_fails_spoils_no_other() -> None:
    gate = Gate()
    gate.open.set()
    with Batcher(gate, batch=4, workers=1) as batcher:  # type: ignore[arg-type]
        futures = batcher.submit([Picture("a", png()), Picture("b", png(level=99)), Picture("c", png())])
        answers = [future.result(20) for future in futures]
        assert batcher.alive
    assert [answer.outcome for answer in answers] == ["read", "unreadable", "read"]
    assert answers[1].row["error"].startswith("OpenCV: ")
    assert answers[1].row["width"] == 40


def test_a_full_queue_refuses_and_what_is_cancelled_is_not_looked_at() -> None:
    gate = Gate()
    with Batcher(gate, queue=3, workers=1, batch=8) as batcher:  # type: ignore[arg-type]
        batcher.submit([Picture("a", png())])
        while not gate.batches:
            threading.Event().wait(0.01)
        futures = batcher.submit([Picture(name, png()) for name in "bcd"])
        with pytest.raises(QueueFullError):
            batcher.submit([Picture("e", png())])
        assert futures[1].cancel()
        gate.open.set()
        assert [future.result(20).row["source"] for future in (futures[0], futures[2])] == ["b", "d"]
    assert gate.batches == [1, 2]
    with pytest.raises(QueueFullError):
        batcher.submit([Picture("f", png())])


def test_closing_gives_up_what_waits() -> None:
    gate = Gate()
    with Batcher(gate, workers=1) as batcher:  # type: ignore[arg-type]
        (first,) = batcher.submit([Picture("a", png())])
        while not gate.batches:
            threading.Event().wait(0.01)
        (second,) = batcher.submit([Picture("b", png())])
        threading.Timer(0.2, gate.open.set).start()
    assert first.result(20).outcome == "read"
    with pytest.raises(CancelledError):
        second.result(20)
    assert not batcher.alive


def test_drawings_are_made_where_they_are_asked_for(pipeline: Pipeline, face: bytes) -> None:
    with Batcher(pipeline) as batcher:
        drawn, plain = batcher.submit([Picture("a", face, drawn=True), Picture("b", face)])
        data = drawn.result(60).drawing
        assert plain.result(60).drawing is None
    assert data is not None
    image = decode_image(data)
    assert image.shape == decode_image(face).shape
    assert np.abs(image.astype(int) - decode_image(face)).mean() > 1


def test_a_picture_that_no_jpeg_can_hold_keeps_its_faces(pipeline: Pipeline) -> None:
    with Batcher(pipeline) as batcher:
        (future,) = batcher.submit([Picture("a", png(70_000, 8), drawn=True)])
        answer: Any = future.result(60)
    assert answer.drawing is None
    assert answer.outcome == "read"
    assert answer.row["error"].startswith("the drawing can't be made: ")
