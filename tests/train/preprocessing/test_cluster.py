"""A Dask scheduler and workers as processes of their own, on loopback."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core.many import cluster as on_dask
from agegender_train.datasets.archives import FileTree
from agegender_train.preprocessing import cluster, making, preprocess
from agegender_train.preprocessing.pictures import PreprocessSettings, default_tools
from agegender_train.preprocessing.shards import ShardTask
from agegender_train.store import Store

distributed = pytest.importorskip("distributed")

SHARD_PICTURES = 40


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "SHARD_PICTURES", SHARD_PICTURES)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 chips as UTKFace's, of noise, of which some have near-duplicates and a wrong age."""
    folder = tmp_path_factory.mktemp("chips")
    noise = np.random.default_rng(7)
    for i in range(300):
        chip = cv2.resize(noise.integers(0, 250, (25, 25, 3), np.uint8), (200, 200), interpolation=cv2.INTER_CUBIC)
        data = cv2.imencode(".png", np.minimum(chip, 250))[1].tobytes()
        (folder / f"{i % 103}_{i % 2}_0_{20170101000000000 + i}.png.chip.png").write_bytes(data)
        if i % 100 == 0:
            data = cv2.imencode(".png", np.minimum(chip, 250) + np.uint8(5))[1].tobytes()
            (folder / f"{i % 103}_{i % 2}_1_{20170101000000000 + i}.png.chip.png").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, dask: Any) -> Iterator[str]:
    with dask.scheduler(tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


def run(source: Path, out: Path, **options: Any) -> dict[str, Any]:
    return preprocess("utkface", source, out, **({"boxes": "known", "workers": 2} | options))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_with_a_worker_killed_in_the_middle_the_store_is_that_of_one_machine(
    source: Path, scheduler: str, tmp_path: Path, dask: Any
) -> None:
    here = run(source, tmp_path / "here")
    assert here["rejected"] == {"age out of range": 4, "near-duplicate": 3}
    heard: list[tuple[str, int, int]] = []
    with dask.worker(scheduler, tmp_path / "w1") as first, dask.worker(scheduler, tmp_path / "w2"):
        with distributed.Client(scheduler, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)

        def kill_once(phase: str, done: int, total: int) -> None:
            heard.append((phase, done, total))
            if phase == "faces" and done >= 3 * SHARD_PICTURES and first.poll() is None:
                first.send_signal(signal.SIGKILL)

        there = run(source, tmp_path / "there", scheduler=scheduler, progress=kill_once)
        assert first.wait(10) == -signal.SIGKILL
    assert there == here
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    faces = [done for phase, done, _ in heard if phase == "faces"]
    assert faces == sorted(faces)
    assert (faces[0], faces[-1]) == (0, 303)
    assert len(Store.open(tmp_path / "there")) == 296


@pytest.mark.slow
def test_a_worker_that_sees_other_files_ends_the_work_with_one_sentence(
    source: Path, scheduler: str, tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dask.worker(scheduler, tmp_path / "worker"):
        plain = FileTree.signature
        with monkeypatch.context() as patch:
            patch.setattr(FileTree, "signature", lambda self: plain(self)[::-1])
            with pytest.raises(OSError, match=r"^Dask worker tcp://\S+ sees other files at .* than are here$"):
                run(source, tmp_path / "store", scheduler=scheduler)
        with monkeypatch.context() as patch:
            patch.setattr("agegender_train.preprocessing.job.__version__", "0.0.7")
            with pytest.raises(OSError, match=r"^Dask worker \S+ has agegender-train \S+, not 0\.0\.7 as here$"):
                run(source, tmp_path / "store2", scheduler=scheduler)
        version = metadata.version("agegender-train")
        recipe = cluster.Recipe(
            (str(tmp_path / "no"),), "", PreprocessSettings("utkface"), None, None, ("", None), version
        )
        with pytest.raises(OSError, match=r"^Dask worker \S+ can't read what it needs: .*no does not exist$"):
            list(cluster.make_on_cluster([ShardTask(0, [])], recipe, scheduler))


def test_without_a_scheduler_it_says_so_within_seconds(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_dask.CONNECT_S <= 10
    monkeypatch.setattr(on_dask, "CONNECT_S", 1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(OSError, match=rf"^no Dask scheduler answers at tcp://127\.0\.0\.1:{port}; start one with"):
        run(source, tmp_path / "store", scheduler=f"tcp://127.0.0.1:{port}")
    assert time.monotonic() - start < 20
    with pytest.raises(ValueError, match=r"scheduler must be an address like tcp://host:8786, got 'localhost'"):
        run(source, tmp_path / "store", scheduler="localhost")


def test_without_workers_it_says_so(
    source: Path, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_dask, "NO_WORKERS_S", 0.5)
    time.sleep(1)  # those of other tests are on their way out
    with pytest.raises(OSError, match=r"^the Dask scheduler at \S+ has no workers; start some with: dask worker"):
        run(source, tmp_path / "store", scheduler=scheduler)


@pytest.mark.slow
def test_a_scheduler_that_is_lost_leaves_what_is_done(source: Path, tmp_path: Path, dask: Any) -> None:
    with dask.scheduler(tmp_path) as (address, process), dask.worker(address, tmp_path / "worker"):

        def lose(phase: str, done: int, total: int) -> None:
            if phase == "faces" and done >= 2 * SHARD_PICTURES:
                process.kill()

        with pytest.raises(OSError, match=r"the Dask scheduler at \S+ was lost: run the same command again"):
            run(source, tmp_path / "store", scheduler=address, progress=lose)
    audit = run(source, tmp_path / "store")
    assert audit["pictures"] == 303


@pytest.mark.slow
def test_few_shards_are_under_way_at_once(source: Path, scheduler: str, tmp_path: Path, dask: Any) -> None:
    given: list[int] = []
    got: list[int] = []
    files = FileTree.open(source)
    settings = PreprocessSettings("utkface", "known")
    models = (default_tools(settings).landmarks_sha256, None)
    recipe = cluster.Recipe(
        (str(source),), files.signature(), settings, None, None, models, metadata.version("agegender-train")
    )

    def tasks() -> Iterator[ShardTask]:
        for index in range(20):
            given.append(index)
            yield ShardTask(index, [])

    with dask.worker(scheduler, tmp_path / "worker"):
        for made in cluster.make_on_cluster(tasks(), recipe, scheduler):
            got.append(made.index)
            assert len(given) - len(got) <= 3
    assert sorted(got) == list(range(20))
