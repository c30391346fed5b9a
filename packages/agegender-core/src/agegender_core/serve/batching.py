"""Pictures of several requests, looked at together.

Nobody waits for a batch to fill: a worker takes what is there, and while all are at work the next batch gathers.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, Literal, Self, TypeAlias

import cv2

from agegender_core._opencv import quiet_opencv
from agegender_core.draw import draw_faces
from agegender_core.faces import Faces, Frame
from agegender_core.images import ImageError, decode_image
from agegender_core.picture_headers import read_header
from agegender_core.picture_rows import empty_row, reason_of
from agegender_core.pipeline import Pipeline
from agegender_core.records import face_records
from agegender_core.telemetry import return_free_memory

_LOG = logging.getLogger(__name__)
_JPEG_QUALITY = 90
_OPENCV_LIMIT = "CV_IO_MAX_IMAGE_PIXELS"  # in what OpenCV says; the variable OPENCV_IO_MAX_IMAGE_PIXELS sets it
_TRIM = 10.0  # seconds after which memory that is free goes back to the system

Outcome: TypeAlias = Literal["read", "unreadable", "too large", "internal error"]
OnBatch: TypeAlias = Callable[[Sequence["Answer"], float], None]


class QueueFullError(Exception):
    """More pictures wait than the server takes."""


@dataclass(frozen=True)
class Picture:
    """A picture as a request brings it.

    Attributes:
        name: what it is called in the answer; nothing is opened by it.
        data: the file's content.
        drawn: whether the picture with the faces drawn in is wanted, too.
    """

    name: str
    data: bytes
    drawn: bool = False


@dataclass
class Answer:
    """What there is to say of a picture.

    Attributes:
        row: as ``agegender predict --format json`` prints it.
        outcome: what became of it.
        drawing: a JPEG file, where one was asked for and the picture could be read.
    """

    row: dict[str, Any]
    outcome: Outcome = "read"
    drawing: bytes | None = None


@dataclass
class _Job:
    picture: Picture
    pixels: int
    future: Future[Answer]


class Batcher:
    """Threads that look at pictures, as many at a time as wait.

    Args:
        pipeline: for pictures; it is called from all threads.
        max_pixels: of a picture. A batch has no more pixels either, so that the memory is bounded.
        queue: pictures that may wait.
        batch: pictures in a batch at most.
        workers: threads.
        on_batch: called with the answers of each batch and the seconds it took, from the worker's thread.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_pixels: int = 50_000_000,
        queue: int = 64,
        batch: int = 8,
        workers: int = 1,
        on_batch: OnBatch | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._max_pixels, self._most, self._batch = max_pixels, queue, batch
        self._on_batch = on_batch
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._trimmed = monotonic()
        self._workers = [
            threading.Thread(target=self._work, name=f"pictures-{number}", daemon=True) for number in range(workers)
        ]

    @property
    def waiting(self) -> int:
        """Pictures that no worker has taken yet."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether all workers run."""
        return not self._closed and all(worker.is_alive() for worker in self._workers)

    def submit(self, pictures: Sequence[Picture]) -> list[Future[Answer]]:
        """Puts pictures into the queue, all or none. A future that is cancelled before its turn costs nothing.

        Raises:
            QueueFullError: they don't fit; more pictures than the queue is long fit into an empty one.
        """
        jobs = [_Job(picture, self._declared(picture.data), Future()) for picture in pictures]
        with self._changed:
            if self._closed or (self._waiting and len(self._waiting) + len(jobs) > self._most):
                raise QueueFullError
            self._waiting.extend(jobs)
            self._changed.notify_all()
        return [job.future for job in jobs]

    def _declared(self, data: bytes) -> int:
        """The pixels that a picture declares; of an unknown format as many as there may be, so that it goes alone."""
        size = read_header(data).size if data else None
        return self._max_pixels if size is None else size[0] * size[1]

    def _take(self) -> list[_Job]:
        """The next batch, which is a fair share of what waits; empty when there will be none any more."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            share = min(self._batch, math.ceil(len(self._waiting) / len(self._workers)))
            taken: list[_Job] = []
            pixels = 0
            while self._waiting and len(taken) < share:
                pixels += min(self._waiting[0].pixels, self._max_pixels)
                if taken and pixels > self._max_pixels:
                    break
                job = self._waiting.popleft()
                if job.future.set_running_or_notify_cancel():
                    taken.append(job)
                elif not taken:
                    pixels = 0
            return taken

    def _work(self) -> None:
        while True:
            jobs = self._take()
            if not jobs:
                if self._closed:
                    return
                continue
            start = perf_counter()
            try:
                answers = self._answers([job.picture for job in jobs], [job.pixels for job in jobs])
            except Exception as error:
                _LOG.exception("a batch failed")
                answers = [_failed(job.picture, error) for job in jobs]
            if self._on_batch is not None:
                self._on_batch(answers, perf_counter() - start)
            for job, answer in zip(jobs, answers, strict=True):
                job.future.set_result(answer)
            self._trim()

    def _trim(self) -> None:
        if monotonic() - self._trimmed > _TRIM:
            self._trimmed = monotonic()
            return_free_memory()

    def _answers(self, pictures: Sequence[Picture], pixels: Sequence[int]) -> list[Answer]:
        answers: list[Answer] = []
        frames: dict[int, Frame] = {}
        for place, (picture, declared) in enumerate(zip(pictures, pixels, strict=True)):
            answers.append(Answer(empty_row(picture.name)))
            try:
                frames[place] = self._decoded(picture, declared)
            except Exception as error:
                answers[place] = _failed(picture, error)
        for place, found in zip(frames, self._found(list(frames.values())), strict=True):
            picture, answer, frame = pictures[place], answers[place], frames[place]
            answer.row["width"], answer.row["height"] = frame.shape[1], frame.shape[0]
            if isinstance(found, Exception):
                failed = _failed(picture, found)
                answer.outcome, answer.row["error"] = failed.outcome, failed.row["error"]
                continue
            answer.row["faces"] = face_records(found)
            if picture.drawn:
                try:
                    answer.drawing = jpeg(draw_faces(frame, found))
                except (ValueError, cv2.error, MemoryError) as error:
                    answer.row["error"] = f"the drawing can't be made: {reason_of(error, picture.name)}"
        return answers

    def _decoded(self, picture: Picture, declared: int) -> Frame:
        most = f"more than the {self._max_pixels:,} that are taken here"
        if declared > self._max_pixels:
            raise _TooLargeError(f"declares {declared:,} pixels, {most}")
        try:
            frame = decode_image(picture.data, picture.name)
        except ImageError as error:
            if _OPENCV_LIMIT in str(error):
                raise _TooLargeError(f"declares too many pixels, {most}") from None
            raise
        # Of formats whose headers aren't read here the size is known only now, unless OpenCV was told the limit.
        pixels = frame.shape[0] * frame.shape[1]
        if pixels > self._max_pixels:
            raise _TooLargeError(f"has {pixels:,} pixels, {most}")
        return frame

    def _found(self, frames: Sequence[Frame]) -> Sequence[Faces | Exception]:
        try:
            return self._pipeline.batch(frames) if frames else []
        except Exception as error:
            if len(frames) == 1:
                return [error]
        # One picture must not spoil the answer of another.
        return [self._found([frame])[0] for frame in frames]

    def close(self) -> None:
        """End the workers; pictures that wait are given up. May be called twice."""
        with self._changed:
            self._closed = True
            for job in self._waiting:
                job.future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class _TooLargeError(ImageError):
    pass


def _failed(picture: Picture, error: Exception) -> Answer:
    expected = isinstance(error, ValueError | OSError | MemoryError | cv2.error)
    outcome: Outcome = (
        "too large" if isinstance(error, _TooLargeError) else "unreadable" if expected else "internal error"
    )
    if not expected:
        _LOG.error("a picture failed", exc_info=error)
    return Answer({**empty_row(picture.name), "error": reason_of(error, picture.name)}, outcome)


def jpeg(frame: Frame, quality: int = _JPEG_QUALITY) -> bytes:
    """A frame, uint8 RGB (H, W, 3), as a JPEG file.

    Raises:
        ValueError: it has too many pixels a side for one.
    """
    with quiet_opencv():
        done, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a JPEG can't have {frame.shape[1]} x {frame.shape[0]} pixels")
    return bytes(data.tobytes())
