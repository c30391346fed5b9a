"""Figures of a server for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from .batching import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ServerMetrics:
    """What a server has done, in a registry of its own.

    Args:
        waiting: gives the pictures that wait.
        more: gives further figures, in the same format.
    """

    def __init__(self, waiting: Callable[[], int] = lambda: 0, more: Callable[[], str] = lambda: "") -> None:
        self._collected, self._more = CollectorRegistry(), more
        # Not in the process's own registry, which any library may add to.
        own: dict[str, Any] = {"registry": self._collected}
        ProcessCollector(**own)
        self._requests = Counter("agegender_serve_requests", "Requests.", ["path", "status"], **own)
        self._request_seconds = Histogram(
            "agegender_serve_request_seconds", "From head to answer.", ["path"], buckets=_SECONDS, **own
        )
        self._pictures = Counter("agegender_serve_pictures", "Pictures.", ["outcome"], **own)
        self._faces = Counter("agegender_serve_faces", "Faces in pictures.", **own)
        self._batches = Histogram(
            "agegender_serve_batch_pictures", "Pictures in a batch.", buckets=(1, 2, 4, 8, 16), **own
        )
        self._batch_seconds = Histogram("agegender_serve_batch_seconds", "Time of a batch.", buckets=_SECONDS, **own)
        queue = Gauge("agegender_serve_queue_pictures", "Pictures that wait.", **own)
        queue.set_function(waiting)

    def request(self, path: str, status: int, seconds: float) -> None:
        """A request is answered; `path` is one of the server's own, not what the client wrote."""
        self._requests.labels(path, str(status)).inc()
        self._request_seconds.labels(path).observe(seconds)

    def batch(self, answers: Sequence[Answer], seconds: float) -> None:
        """A batch is done."""
        for answer in answers:
            self._pictures.labels(answer.outcome).inc()
            self._faces.inc(len(answer.row["faces"]))
        self._batches.observe(len(answers))
        self._batch_seconds.observe(seconds)

    def text(self) -> str:
        """All figures."""
        return generate_latest(self._collected).decode() + self._more()
