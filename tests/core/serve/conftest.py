from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from agegender_core.pipeline import Pipeline
from agegender_core.serve.app import Served, serve_app
from agegender_core.serve.batching import Batcher
from agegender_core.serve.limits import Limits
from agegender_core.serve.metrics import ServerMetrics
from agegender_core.serve.server import address_of, listen, serving

Address = str


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return Pipeline.for_pictures("tiny")


@pytest.fixture(scope="session")
def face(astronaut_path: Path) -> bytes:
    return astronaut_path.read_bytes()


@pytest.fixture
def application(pipeline: Pipeline) -> Iterator[Callable[..., Any]]:
    """Makes the application of a server that takes pictures; its limits and `token` as named."""
    with contextlib.ExitStack() as stack:

        def make(token: str | None = None, pipeline_: Any = pipeline, **named: Any) -> Any:
            limits = Limits(**named)
            metrics = ServerMetrics(waiting=lambda: batcher.waiting)
            batcher = Batcher(
                pipeline_, max_pixels=limits.max_pixels, queue=limits.queue, workers=2, on_batch=metrics.batch
            )
            stack.enter_context(batcher)
            return serve_app(Served(batcher, None, "ssrnet", metrics), limits, token)

        yield make


@pytest.fixture
def served(application: Callable[..., Any]) -> Iterator[Callable[..., Address]]:
    """Serves such an application on a free port: its address."""
    with contextlib.ExitStack() as stack:

        def serve(**named: Any) -> Address:
            limits = {name: value for name, value in named.items() if name in Limits.__dataclass_fields__}
            listener = stack.enter_context(listen("127.0.0.1", 0))
            stack.enter_context(serving(application(**named), listener, Limits(**limits)))
            return address_of(listener)

        yield serve
