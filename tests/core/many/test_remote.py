"""Pictures at addresses: in memory, and on a server that speaks S3."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agegender_core.many import listing as listings
from agegender_core.many.archives import list_archive
from agegender_core.many.listing import Listing
from agegender_core.many.places import file_system
from agegender_core.many.remote import list_address, remote_part

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[None]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    for name in ("photos/b.jpg", "photos/deep/ä 1.png", "photos/.hidden.jpg", "photos/notes.txt", "photos/a.webp"):
        files.pipe_file(f"/{name}", name.encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/zip.jpg", b"zipped")
    files.pipe_file("/packed.zip", packed.getvalue())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("tar.jpg")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"tared"))
    files.pipe_file("/packed.tar.gz", packed.getvalue())
    yield
    files.store.clear()


def contents(addresses: list[str]) -> dict[str, bytes]:
    part = remote_part(addresses)
    reader = part.source.open()
    return {part.source.name(key): reader.read(key) for key in part.keys}


@pytest.mark.usefixtures("memory")
def test_a_folder_a_glob_and_a_file() -> None:
    found, skipped = list_address("memory://photos")
    assert contents(found) == {
        f"memory:///photos/{name}": f"photos/{name}".encode() for name in ("a.webp", "b.jpg", "deep/ä 1.png")
    }
    assert skipped == ["memory:///photos/notes.txt"]
    assert list_address("memory://photos/*.jpg")[0] == ["memory:///photos/b.jpg"]
    assert list_address("memory://photos/notes.txt") == (["memory:///photos/notes.txt"], [])
    assert list_address("memory://*.zip") == (["memory:///packed.zip"], [])
    with pytest.raises(FileNotFoundError, match=r"^memory://nowhere: there is no such file"):
        list_address("memory://nowhere")
    part = remote_part(["memory:///gone.jpg"])
    with pytest.raises(FileNotFoundError):
        part.source.open().read("memory:///gone.jpg")
    assert not part.source.exists("memory:///gone.jpg")
    assert part.source.exists("memory:///photos/b.jpg")


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("place", "name", "data"), [("packed.zip", "in/zip.jpg", b"zipped"), ("packed.tar.gz", "tar.jpg", b"tared")]
)
def test_archives_are_read_where_they_lie(place: str, name: str, data: bytes) -> None:
    (item,) = Listing(list_archive(f"memory://{place}", "").parts)
    assert item.name == f"memory://{place}/{name}"
    reader = item.source.open()
    assert reader.read(item.key) == data
    reader.close()
    assert item.source.exists(item.key)


@pytest.mark.usefixtures("memory")
def test_nothing_large_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_core.many.remote.MAX_BYTES", 1 << 20)
    fsspec.filesystem("memory").pipe_file("/large.jpg", bytes((1 << 20) + 1))
    with pytest.raises(OSError, match="it has more than 1 MiB"):
        contents(["memory:///large.jpg"])
    assert listings.MAX_BYTES == 256 << 20


def test_what_is_missing_is_said_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"^nonsense://x: Protocol not known: nonsense"):
        file_system("nonsense://x")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ModuleNotFoundError, match=r"^gs:// needs a package that is not installed") as missing:
        file_system("gs://bucket/x")
    assert missing.value.__notes__ == ['pip install gcsfs (the extra "agegender-core[gcs]")']
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ModuleNotFoundError, match=r"^s3:// needs a package that is not installed: fsspec") as missing:
        file_system("s3://bucket/x")
    assert missing.value.__notes__ == ['pip install s3fs (the extra "agegender-core[s3]")']


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of moto's as a process of its own; its address."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        try:
            deadline = time.monotonic() + 30
            while True:
                with suppress(OSError):
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                        f"http://127.0.0.1:{port}/moto-api/", timeout=2
                    ).close()
                    break
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, astronaut_path: Path) -> Iterator[str]:
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    files = s3fs.S3FileSystem()
    files.mkdir("faces")
    for number in range(3):
        files.pipe_file(f"faces/photos/{number}.jpg", astronaut_path.read_bytes())
    files.pipe_file("faces/photos/broken.jpg", b"no picture")
    files.pipe_file("faces/photos/empty.jpg", b"")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(astronaut_path, "in.jpg")
    files.pipe_file("faces/packed.zip", packed.getvalue())
    yield "s3://faces"
    files.rm("faces", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_s3(bucket: str, astronaut_path: Path) -> None:
    found, skipped = list_address(f"{bucket}/photos")
    assert found == [f"{bucket}/photos/{name}" for name in ("0.jpg", "1.jpg", "2.jpg", "broken.jpg", "empty.jpg")]
    assert skipped == []
    expected = {**dict.fromkeys(found[:3], astronaut_path.read_bytes()), found[3]: b"no picture", found[4]: b""}
    assert contents(found) == expected
    (item,) = Listing(list_archive(f"{bucket}/packed.zip", "").parts)
    assert item.source.open().read(item.key) == astronaut_path.read_bytes()
    with pytest.raises(FileNotFoundError):
        list_address("s3://no-such-bucket/x")


@pytest.mark.slow
def test_s3_into_a_table_here_and_on_a_cluster(bucket: str, tmp_path: Path, dask: Any) -> None:
    import pyarrow.parquet as pq

    from agegender_core.many.job import make_table

    found, _ = list_address(bucket)
    assert found == [f"{bucket}/photos/{name}" for name in ("0.jpg", "1.jpg", "2.jpg", "broken.jpg", "empty.jpg")]
    tally = make_table(Listing([remote_part(found)]), tmp_path / "faces.parquet", model="tiny", workers=2)
    assert (tally.pictures, tally.faces, tally.failed) == (5, 3, 2)
    table = pq.read_table(tmp_path / "faces.parquet").to_pylist()
    assert [row["source"] for row in table] == found
    assert [row["error"] for row in table] == [
        *(None, None, None),
        "not a picture that OpenCV can decode",
        "the file is empty",
    ]
    parts = [remote_part([*found, f"{bucket}/gone.jpg"]), *list_archive(f"{bucket}/packed.zip", "").parts]
    make_table(Listing(parts), tmp_path / "here.parquet", model="tiny")
    # The worker has credentials of its own, which here are those of the environment.
    with dask.scheduler(tmp_path) as (address, _), dask.worker(address, tmp_path / "worker"):
        make_table(Listing(parts), tmp_path / "there.parquet", model="tiny", scheduler=address)
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert pq.read_table(tmp_path / "here.parquet").num_rows == 7


@pytest.mark.slow
def test_no_credentials_is_a_sentence(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(OSError, match=r"^s3://faces/x\.jpg: .*[Cc]redentials"):
        list_address(f"{bucket}/x.jpg")
