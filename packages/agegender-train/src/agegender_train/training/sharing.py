"""One training on several devices, of this process and of others: each batch is shared out, each weight is everywhere.

The arithmetic is that of one device with the whole batch, batch normalisation's means included; only the order of sums
differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Crew:
    """Who trains together.

    Attributes:
        process: number of this process, from 0; it alone writes the run's folder.
        processes: how many there are.
        devices: of all processes.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1


@contextmanager
def join_crew(data_parallel: bool) -> Iterator[Crew]:
    """Within it, what Keras makes and runs is on all devices, where `data_parallel` asks for it.

    Other processes are those that the variables KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and
    KERAS_DISTRIBUTION_PROCESS_ID tell of, or that the program has joined already by ``keras.distribution.initialize``.

    Raises:
        ValueError: Keras shares nothing out on this backend.
    """
    if not data_parallel:
        yield Crew()
        return
    if keras.backend.backend() != "jax":
        raise ValueError(f"data_parallel needs KERAS_BACKEND=jax, and the backend is {keras.backend.backend()}")
    import jax

    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ and not jax.distributed.is_initialized():
        keras.distribution.initialize()
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        yield Crew(jax.process_index(), jax.process_count(), jax.device_count())


@contextmanager
def alone() -> Iterator[None]:
    """Within it, what Keras makes and runs is on this process's first device, as if there were no crew."""
    joined = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(joined)


def agree(crew: Crew, what: str) -> None:
    """Makes sure that all processes of `crew` start from the same.

    Raises:
        ValueError: they don't.
    """
    if crew.processes == 1:
        return
    from hashlib import blake2b

    import numpy as np
    from jax.experimental import multihost_utils

    own = np.frombuffer(blake2b(what.encode(), digest_size=8).digest(), np.uint8)
    if len(np.unique(multihost_utils.process_allgather(own), axis=0)) > 1:
        raise ValueError(
            "the processes of one training differ in settings, data or the state to go on from: give all of them the "
            "same command and the same folder"
        )
