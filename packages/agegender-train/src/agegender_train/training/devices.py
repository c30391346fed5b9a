"""Where and how exactly it is computed: the device, its memory, repeatable sums, and the precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from typing import Any

import keras


def prepare_backend(deterministic: bool) -> None:
    """Has TensorFlow take a GPU's memory as it needs it, and on demand every backend compute repeatably.

    TensorFlow and PyTorch keep to it for the rest of the process. Once a backend has used a GPU, it is too late for
    TensorFlow's memory and for JAX.
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
    """The scope in which everything runs on the device `name`.

    Raises:
        ValueError: it is no device's name, or there is no such device.
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
    """Within it, layers are made to compute as the policy `name` of Keras says."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
