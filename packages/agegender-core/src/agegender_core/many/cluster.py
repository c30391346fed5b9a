"""Work given to the workers of a Dask scheduler; needs ``distributed``, the extra ``dask``.

What goes over the network are the tasks, what they share, and what they give back; files are read and written by
whoever runs a task.
"""

from __future__ import annotations

import importlib
import re
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar

CONNECT_S = 10
NO_WORKERS_S = 30
_CHECK_S = 5
_TASKS_A_THREAD = 2

T = TypeVar("T")
R = TypeVar("R")


def map_on_cluster(
    work: Callable[..., R], tasks: Iterable[T], address: str, package: str, shared: bytes | None = None
) -> Generator[R, None, None]:
    """The results as they are finished, in any order; at most two for each thread of the cluster are in progress.

    When a worker is lost, the scheduler gives its tasks to another one.

    Args:
        work: called with a task on a worker, and with `shared` behind it where there is any; a function that a module
            of `package` has at its top, or a `functools.partial` of one.
        tasks: what to do.
        address: of the scheduler, as "tcp://host:8786".
        package: must be installed on the workers.
        shared: what all tasks need; it is sent to each worker once.

    Raises:
        ValueError: Dask isn't installed, or `address` is no such address.
        OSError: no scheduler or no worker answers, they are lost during the work, or a worker lacks a package; and
            whatever `work` raises.
    """
    try:
        distributed = _distributed()
    except ImportError:
        raise ValueError("scheduler needs Dask: pip install distributed") from None
    if not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://[^/\s]+:\d+", address):
        raise ValueError(f"scheduler must be an address like tcp://host:8786, got {address!r}")
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise OSError(f"no Dask scheduler answers at {address}; start one with: dask scheduler") from error
    with client, _loss_explained(address):
        running: set[Any] = set()
        more = () if shared is None else (_shared_by(client, shared),)
        try:
            for task in tasks:
                while len(running) >= _capacity(client, address):
                    yield from _finished(client, running, address, package)
                running.add(client.submit(work, task, *more, key=f"agegender-{uuid.uuid4()}", pure=False))
            while running:
                yield from _finished(client, running, address, package)
        finally:
            if client.status == "running":
                client.cancel([*running, *more])


def worker_address() -> str:
    """The address of the Dask worker that this is."""
    return str(_distributed().get_worker().address)


def _distributed() -> Any:
    return importlib.import_module("distributed")  # an extra, and without types


def _itself(content: bytes) -> bytes:
    return content


def _shared_by(client: Any, content: bytes) -> Any:
    # A task and no scattered data: when the worker that holds it is lost, the scheduler has another one do it again.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        return client.submit(_itself, content, key=f"agegender-shared-{uuid.uuid4()}", pure=False)


@contextmanager
def _loss_explained(address: str) -> Iterator[None]:
    try:
        yield
    except (CancelledError, _distributed().comm.CommClosedError):
        raise OSError(
            f"the Dask scheduler at {address} was lost: run the same command again to continue when it is back"
        ) from None


def _capacity(client: Any, address: str) -> int:
    deadline = time.monotonic() + NO_WORKERS_S
    while not (threads := sum(client.nthreads().values())):
        if time.monotonic() > deadline:
            raise OSError(f"the Dask scheduler at {address} has no workers; start some with: dask worker {address}")
        time.sleep(0.2)
    return _TASKS_A_THREAD * int(threads)


def _finished(client: Any, running: set[Any], address: str, package: str) -> Generator[Any, None, None]:
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
            needed = package if error.name is None or error.name.startswith("agegender") else error.name
            raise OSError(f"a Dask worker lacks {error.name or error}: install {needed} on all of them") from None
        future.release()
        yield made
