"""Shards made on a Dask cluster; needs the extra ``dask`` of agegender-train.

The workers read the source themselves, under the same path as here, and send the encoded shards back; only this
process writes the store.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

from agegender_core.many.cluster import map_on_cluster, worker_address
from agegender_train import __version__
from agegender_train.datasets import open_source
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing.pictures import PreprocessSettings, Tools, default_tools
from agegender_train.preprocessing.shards import MadeShard, ShardTask, make_shard


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
    return map_on_cluster(partial(_make, recipe=recipe), tasks, address, "agegender-train")


def _make(task: ShardTask, recipe: Recipe) -> MadeShard:
    """Makes one shard, on a worker."""
    worker = worker_address()
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
