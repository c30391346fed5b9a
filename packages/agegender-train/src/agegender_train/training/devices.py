"""Where and how a training computes: device, memory, precision, repeatable sums, and replicas on several devices.

In data-parallel training each device has a replica of the model and a part of each batch. The arithmetic is that of
one device with the whole batch, batch normalisation's means included; only the order of sums differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from typing import Any

import keras
import numpy as np


def prepare_backend(deterministic: bool) -> None:
    """Makes TensorFlow take a GPU's memory as it needs it, and on demand every backend compute repeatably.

    TensorFlow and PyTorch stay deterministic for the rest of the process. Once a backend has used a GPU, it is too late
    for TensorFlow's memory and for JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        for gpu in tensorflow.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # it is in use already
                tensorflow.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tensorflow.config.experimental.enable_op_determinism()
    elif backend == "jax" and deterministic:
        flag, flags = "--xla_gpu_deterministic_ops=true", os.environ.get("XLA_FLAGS", "")
        if flag not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()
    elif backend == "torch" and deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        import_module("torch").use_deterministic_algorithms(True)


def device_scope(name: str) -> AbstractContextManager[Any]:
    """A context in which everything runs on the device `name`: "auto" for the backend's choice, "cpu", "gpu:N".

    Raises:
        ValueError: `name` is none of these, or there is no such device.
    """
    if name == "auto":
        return nullcontext()
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "gpu") or (number and not number.isdigit()):
        raise ValueError(f'device must be "auto", "cpu" or "gpu:N", got {name!r}')
    there = _count(kind)
    if int(number or 0) >= there:
        raise ValueError(f"device {name!r} is not there: {keras.backend.backend()} sees {there} of kind {kind}")
    scope: AbstractContextManager[Any] = keras.device(f"{kind}:{number or 0}")
    return scope


def _count(kind: str) -> int:
    if keras.backend.backend() == "torch":
        return 1 if kind == "cpu" else int(import_module("torch").cuda.device_count())
    try:
        return len(keras.distribution.list_devices(kind))
    except RuntimeError:  # JAX, of a kind that it wasn't built for
        return 0


@contextmanager
def precision(name: str) -> Iterator[None]:
    """A context in which new layers compute as Keras's dtype policy `name` says."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@dataclass(frozen=True)
class Replicas:
    """The replicas of a model in data-parallel training, one a device.

    Attributes:
        process: number of this process, from 0; only process 0 writes the run's folder.
        processes: how many there are.
        devices: of all processes together.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1


@contextmanager
def replica_scope(data_parallel: bool) -> Iterator[Replicas]:
    """A context in which Keras builds and runs models on all devices, if `data_parallel`; else on one.

    Other processes are those that the variables KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and
    KERAS_DISTRIBUTION_PROCESS_ID describe, or that the program has joined already by ``keras.distribution.initialize``.

    Raises:
        ValueError: `data_parallel`, and a backend other than JAX, the only one on which Keras has it.
    """
    if not data_parallel:
        yield Replicas()
        return
    if keras.backend.backend() != "jax":
        raise ValueError(f"data_parallel needs KERAS_BACKEND=jax, and the backend is {keras.backend.backend()}")
    import jax

    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ and not jax.distributed.is_initialized():
        keras.distribution.initialize()
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        yield Replicas(jax.process_index(), jax.process_count(), jax.device_count())


@contextmanager
def single_device() -> Iterator[None]:
    """A context in which Keras builds and runs models on this process's first device only, without replicas."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def check_same(replicas: Replicas, what: str) -> None:
    """Checks that all processes have the same; each of them must call it.

    Raises:
        ValueError: they differ, in all processes.
    """
    if replicas.processes == 1:
        return
    from jax.experimental import multihost_utils

    own = np.frombuffer(blake2b(what.encode(), digest_size=8).digest(), np.uint8)
    if len(np.unique(multihost_utils.process_allgather(own), axis=0)) > 1:
        raise ValueError(
            "the processes of one training differ in settings, data or saved state: give all of them the same command "
            "and the same folder"
        )


class AnyProcess:
    """Whether a flag is set in any process, without waiting for the devices: the answer is that of the call before.

    An answer of the same call would wait for the step that was just begun, and leave a GPU without work meanwhile.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._single = replicas.processes == 1
        self._pending: Any = None
        if self._single:
            return
        self._jax: Any = import_module("jax")  # as Any: parts of it have no types
        sharding = self._jax.sharding
        mesh = sharding.Mesh(np.array(self._jax.devices()), ("device",))
        self._per_device = sharding.NamedSharding(mesh, sharding.PartitionSpec("device"))
        everywhere = sharding.NamedSharding(mesh, sharding.PartitionSpec())
        self._any = self._jax.jit(self._jax.numpy.any, out_shardings=everywhere)

    def __call__(self, flag: bool) -> bool:
        """Every process must call it equally often, and gets the same answers; a single process gets `flag` back."""
        if self._single:
            return flag
        own = np.full(self._jax.local_device_count(), flag)
        before = self._pending
        self._pending = self._any(self._jax.make_array_from_process_local_data(self._per_device, own))
        return before is not None and bool(np.asarray(before.addressable_data(0)))
