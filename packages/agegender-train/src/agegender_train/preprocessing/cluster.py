"""Shards made on a Dask cluster; needs the extra ``dask`` of agegender-train.

The workers read the source themselves, under the same path as here, and send the encoded shards back; only this
process writes the store.
"""

from __future__ import annotations

import importlib
import re
import threading
import time
import uuid
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agegender_train import __version__
from agegender_train.datasets import open_source
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing.pictures import PreprocessSettings, Tools, default_tools
from agegender_train.preprocessing.shards import MadeShard, ShardTask, make_shard

_CONNECT_S = 10
_NO_WORKERS_S = 30
_CHECK_S = 5
_TASKS_A_THREAD = 2


@dataclass(frozen=True)
class Recipe:
    """All that a worker must know besides the task.

    Attributes:
        source: paths of the source.
        signature: of its `FileTree`; the worker's must be the same.
        settings: how a picture becomes a row.
        landmarks: path of the landmark model, or ``None``.
        detector_model: path of the detector's model, or ``None``.
        models: SHA-256 of both; the worker's must be the same.
        version: of agegender-train; the worker's must be the same.
    """

    source: tuple[str, ...]
    signature: str
    settings: PreprocessSettings
    landmarks: str | None
    detector_model: str | None
    models: tuple[str | None, ...]
    version: str


def make_on_cluster(tasks: Iterable[ShardTask], recipe: Recipe, address: str) -> Generator[MadeShard]:
    """The shards as they are finished, in any order; at most two for each thread of the cluster are in progress.

    When a worker is lost, the scheduler gives its tasks to another one.

    Args:
        tasks: what to make.
        recipe: what else the workers must know.
        address: of the scheduler, as "tcp://host:8786".

    Raises:
        ValueError: Dask isn't installed, or `address` is no such address.
        OSError: no scheduler or no worker answers, they are lost during the work, or a worker has other files, other
            models or another version of agegender-train.
    """
    try:
        distributed = _distributed()
    except ImportError:
        raise ValueError("scheduler needs Dask: pip install distributed") from None
    if not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://[^/\s]+:\d+", address):
        raise ValueError(f"scheduler must be an address like tcp://host:8786, got {address!r}")
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise OSError(f"no Dask scheduler answers at {address}; start one with: dask scheduler") from error
    with client, _loss_explained(address):
        running: set[Any] = set()
        try:
            for task in tasks:
                while len(running) >= _capacity(client, address):
                    yield from _finished(client, running, address)
                name = f"agegender-shard-{task.index}-{uuid.uuid4()}"
                running.add(client.submit(_make, task, recipe, key=name, pure=False))
            while running:
                yield from _finished(client, running, address)
        finally:
            if client.status == "running":
                client.cancel(list(running))


def _distributed() -> Any:
    return importlib.import_module("distributed")  # an extra, and without types


@contextmanager
def _loss_explained(address: str) -> Iterator[None]:
    try:
        yield
    except (CancelledError, _distributed().comm.CommClosedError):
        raise OSError(
            f"the Dask scheduler at {address} was lost: run the same command again to continue when it is back"
        ) from None


def _capacity(client: Any, address: str) -> int:
    deadline = time.monotonic() + _NO_WORKERS_S
    while not (threads := sum(client.nthreads().values())):
        if time.monotonic() > deadline:
            raise OSError(f"the Dask scheduler at {address} has no workers; start some with: dask worker {address}")
        time.sleep(0.2)
    return _TASKS_A_THREAD * int(threads)


def _finished(client: Any, running: set[Any], address: str) -> Generator[MadeShard]:
    """Waits for some of the running tasks, and takes them out of `running`."""
    distributed = _distributed()
    while True:
        try:
            with client.as_current():  # the only way to say which client is to wait
                done = distributed.wait(list(running), timeout=_CHECK_S, return_when="FIRST_COMPLETED").done
            break
        except TimeoutError:
            _capacity(client, address)
    for future in done:
        running.discard(future)
        try:
            made = future.result()
        except distributed.KilledWorker:
            raise OSError(
                "a task killed several Dask workers one after another, perhaps for lack of memory: see their logs"
            ) from None
        except ModuleNotFoundError as error:
            raise OSError(f"a Dask worker lacks {error.name}: install agegender-train on all of them") from None
        future.release()
        yield made


def _make(task: ShardTask, recipe: Recipe) -> MadeShard:
    """Makes one shard, on a worker."""
    worker = _distributed().get_worker().address
    if __version__ != recipe.version:
        raise OSError(f"Dask worker {worker} has agegender-train {__version__}, not {recipe.version} as here")
    with _preparing:
        files, tools = _prepared(worker, recipe)
    return make_shard(task, files, recipe.settings, tools, _no_tick)


_preparing = threading.Lock()  # several threads of a worker start at once


@lru_cache(maxsize=2)
def _prepared(worker: str, recipe: Recipe) -> tuple[FileTree, Tools]:
    """The source and the tools, opened once in a process."""
    try:
        files = open_source(recipe.settings.dataset, *recipe.source)
        tools = default_tools(recipe.settings, recipe.landmarks, recipe.detector_model)
    except OSError as error:
        raise OSError(f"Dask worker {worker} can't read what it needs: {error}") from None
    if files.signature() != recipe.signature:
        raise OSError(f"Dask worker {worker} sees other files at {files} than are here")
    if (tools.landmarks_sha256, tools.detector_sha256) != recipe.models:
        raise OSError(f"Dask worker {worker} has another landmark or detector model than is here")
    return files, tools


def _no_tick() -> None:
    pass
