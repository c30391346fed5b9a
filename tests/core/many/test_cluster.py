"""A table made by the workers of a Dask scheduler, on loopback, is that of this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agegender_core.many import job, shards
from agegender_core.many.archives import list_archive
from agegender_core.many.files import Files
from agegender_core.many.job import make_table
from agegender_core.many.listing import Listing, Part
from agegender_core.predict import MODELS_PATH

from .pictures import write_pictures

distributed = pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

AGEGENDER = Path(sys.executable).parent / "agegender"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, dask: Any) -> Iterator[str]:
    with dask.scheduler(tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, astronaut_path: Path) -> Path:
    """45 names: faces, pictures without, and what can't be read; and an archive with the same."""
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, 45, astronaut_path)
    shutil.make_archive(str(folder / "packed"), "tar", folder, ".")
    return folder


def listing_of(folder: Path) -> Listing:
    files = Part(Files(str(folder)), [*(f"{number:03}.png" for number in range(45)), "gone.png"])
    return Listing([files, *list_archive(str(folder / "packed.tar"), "/").parts])


def wait_for_workers(address: str, count: int) -> None:
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.slow
def test_with_a_worker_killed_in_the_middle_the_table_is_that_of_one_machine(
    pictures: Path, scheduler: str, tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "FEWEST", 7)
    model = tmp_path / "mine.onnx"
    shutil.copy(MODELS_PATH / "ssrnet.onnx", model)
    listing = listing_of(pictures)
    here = make_table(listing, tmp_path / "here.parquet", model=model, images=True)
    assert (here.pictures, here.faces, here.failed) == (91, 30, 31)
    heard: list[int] = []
    with dask.worker(scheduler, tmp_path / "w1") as first, dask.worker(scheduler, tmp_path / "w2"):
        wait_for_workers(scheduler, 2)

        def kill_once(done: int) -> None:
            heard.append(done)
            model.unlink(missing_ok=True)  # the workers have no such file
            if done >= 28 and first.poll() is None:
                first.send_signal(signal.SIGKILL)

        there = make_table(
            listing, tmp_path / "there.parquet", model=model, images=True, scheduler=scheduler, progress=kill_once
        )
        assert first.wait(10) == -signal.SIGKILL
    assert there == here
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0, 91)
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert not (tmp_path / "there.parquet.parts").exists()


@pytest.mark.slow
def test_when_the_client_is_killed_the_same_command_goes_on(
    pictures: Path, scheduler: str, tmp_path: Path, dask: Any, start_process: Callable[..., Any]
) -> None:
    shutil.copytree(pictures, tmp_path / "in")
    words = [AGEGENDER, "predict", "in", "in/packed.tar", "--model", "tiny", "--runtime", "onnxruntime"]
    words += ["--scheduler", scheduler, "--output", "faces.parquet"]
    parts = tmp_path / "faces.parquet.parts"
    with dask.worker(scheduler, tmp_path / "worker"):
        wait_for_workers(scheduler, 1)
        with start_process(words, stderr=subprocess.PIPE, cwd=tmp_path) as process:
            deadline = time.monotonic() + 60
            while len(list(parts.glob("part-*"))) < 2:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
        kept = {path: path.stat().st_mtime_ns for path in parts.glob("part-*")}
        assert 2 <= len(kept) < 6
        with start_process(words, stderr=subprocess.PIPE, cwd=tmp_path) as process:
            while parts.exists():
                for path in kept.keys() & set(parts.glob("part-*")):
                    assert path.stat().st_mtime_ns == kept[path]
                time.sleep(0.05)
                if process.poll() is not None:
                    break
            errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors
    assert "90 pictures, 30 faces, 30 without, 30 that could not be read; written to faces.parquet" in errors
    here = [*words[: words.index("--scheduler")], "--output", "here.parquet"]
    subprocess.run(here, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "faces.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()


@pytest.mark.slow
def test_what_is_different_on_a_worker_ends_the_work_with_one_sentence(
    pictures: Path, scheduler: str, tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "faces.parquet"
    real = dict(shards.versions())
    # What each process finds in its own working folder.
    elsewhere = Listing([Part(Files("/"), ["proc/self/cwd/001.png", "proc/self/cwd/gone.png"])])
    monkeypatch.chdir(pictures)
    with dask.worker(scheduler, tmp_path / "worker"):
        with pytest.raises(OSError, match=r"^a Dask worker can't read proc/self/cwd/001\.png, which is there for this"):
            make_table(elsewhere, output, model="tiny", scheduler=scheduler)
        assert not (tmp_path / "faces.parquet.parts").exists()
        for name, version, sentence in (
            (
                "OpenCV",
                "4.0.0",
                rf"^Dask worker tcp://\S+ has OpenCV {real['OpenCV']}, and here it is 4\.0\.0: ",
            ),
            (
                "pillow-heif",
                None,
                r"^Dask worker \S+ has pillow-heif \S+, and here it is not installed: the rows",
            ),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(shards, "versions", lambda: tuple(sorted({**real, name: version}.items())))  # noqa: B023
                with pytest.raises(OSError, match=sentence):
                    make_table(listing_of(pictures), output, model="tiny", scheduler=scheduler)
            assert not (tmp_path / "faces.parquet.parts").exists()
        with monkeypatch.context() as patch:
            patch.setattr(job, "_made_there", _with_another_model(job._made_there))
            with pytest.raises(OSError, match=r"^Dask worker \S+ can't load the model: the model tiny is another one"):
                make_table(listing_of(pictures), output, model="tiny", scheduler=scheduler)
    assert not output.exists()


def _with_another_model(made_there: Callable[..., Any]) -> Callable[..., Any]:
    from dataclasses import replace

    return lambda tasks, recipe, *rest: made_there(tasks, replace(recipe, model_sha256="0" * 64), *rest)
