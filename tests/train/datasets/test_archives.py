from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import sys
import tarfile
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.datasets import archive_readers, archives
from agegender_train.datasets.archives import FileTree

FILES = {
    "train/1.jpg": b"one",
    "train/2.jpg": b"two" * 5000,
    "name with spaces/Jürgen 李.png": b"three",
    "empty.csv": b"",
}
HIDDEN = {"__MACOSX/train/._1.jpg": b"x", ".DS_Store": b"x", "train/.hidden.jpg": b"x"}


def write_folder(root: Path) -> Path:
    for name, data in (FILES | HIDDEN).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.mkdir("train")
        for name, data in (FILES | HIDDEN).items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in (FILES | HIDDEN).items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def contents(tree: FileTree) -> dict[str, bytes]:
    return {name: tree.read(name) for name in tree.names}


def test_a_folder_and_every_archive_of_it_look_the_same(tmp_path: Path) -> None:
    sources = [
        write_folder(tmp_path / "folder"),
        write_zip(tmp_path / "a.zip"),
        write_zip(tmp_path / "stored.zip", zipfile.ZIP_STORED),
        write_zip(tmp_path / "rare.zip", zipfile.ZIP_BZIP2),
        write_tar(tmp_path / "a.tar"),
        write_tar(tmp_path / "a.tar.gz", "w:gz"),
        write_tar(tmp_path / "a.tgz", "w:gz"),
        write_tar(tmp_path / "a.tar.xz", "w:xz"),
    ]
    for source in sources:
        tree = FileTree.open(source)
        assert contents(tree) == FILES, source
        assert tree.names == tuple(sorted(FILES))
        assert tree.signature() == FileTree.open(sources[0]).signature()
        assert len(tree) == 4
        assert "train/1.jpg" in tree
        assert tree.clue("train/2.jpg")[0] == 15000


def test_archives_in_a_folder_stand_beside_its_loose_files_which_come_first(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"labels")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "1.jpg").write_bytes(b"loose")
    write_zip(tmp_path / "b.zip")
    (tmp_path / "deeper").mkdir()
    write_tar(tmp_path / "deeper" / "c.tar")
    tree = FileTree.open(tmp_path)
    assert tree.read("labels.csv") == b"labels"
    assert tree.read("train/1.jpg") == b"loose"
    assert tree.read("deeper/train/1.jpg") == b"one"
    assert tree.shadowed == 1
    assert len(tree) == 1 + 4 + 4


def test_several_sources_make_one_tree(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_bytes(b"labels")
    tree = FileTree.open(write_zip(tmp_path / "a.zip"), labels)
    assert contents(tree) == FILES | {"labels.csv": b"labels"}


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.tar.gz", "a.tar.xz", "a.bin", "a"])
@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "bz2", "xz"])
def test_an_archive_is_told_by_its_content_whatever_its_name(tmp_path: Path, kind: str, name: str) -> None:
    made = write_zip(tmp_path / "made.zip") if kind == "zip" else write_tar(tmp_path / "made.tar")
    data = made.read_bytes()
    made.unlink()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(PACKERS[kind](data) if kind in PACKERS else data)
    assert contents(FileTree.open(tmp_path / "in" / name)) == FILES
    assert contents(FileTree.open(tmp_path / "in")) == FILES


def test_what_only_looks_like_an_archive_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"no archive"))
    (tmp_path / "BZh").write_bytes(b"BZh and more text")
    with zipfile.ZipFile(tmp_path / "letter.sxw", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("Pictures/1.jpg", b"x")
    tree = FileTree.open(tmp_path)
    assert tree.names == ("BZh", "letter.sxw", "notes.gz")
    assert tree.unopened == ()


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\0", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard")],
)
def test_archives_of_other_kinds_are_named(tmp_path: Path, start: bytes, kind: str) -> None:
    (tmp_path / "pictures.zip").write_bytes(start + bytes(1000))
    with pytest.raises(OSError, match=rf"pictures\.zip is a {kind} archive, which can't be read here: unpack it$"):
        FileTree.open(tmp_path / "pictures.zip")
    ((name, reason),) = FileTree.open(tmp_path).unopened
    assert (name, kind in reason) == ("pictures.zip", True)


def test_zips_of_windows_and_of_macos(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x\\", "x\\a.jpg", "x\\y\\b.jpg", "__MACOSX\\x\\._a.jpg", "AA.jpg"):
            archive.writestr(name, b"" if name.endswith("\\") else name.encode())
    path.write_bytes(
        path.read_bytes().replace(b"AA.jpg", "ü.jpg".encode())
    )  # as macOS has it: UTF-8, not marked as such
    tree = FileTree.open(path)
    assert tree.names == ("x/a.jpg", "x/y/b.jpg", "ü.jpg")
    assert tree.read("x/a.jpg") == b"x\\a.jpg"


def nested(data: bytes, name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, data)
    return packed.getvalue()


def test_archives_in_archives_are_opened_and_those_that_cannot_be_are_named(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip").read_bytes()
    tar = gzip.compress(write_tar(tmp_path / "inner.tar").read_bytes())
    with zipfile.ZipFile(tmp_path / "outer.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", b"labels")
        archive.writestr("a/pictures.zip", inner)
        archive.writestr("b/pictures", tar)
        archive.writestr("c/cut.zip", inner[: len(inner) // 2])
        archive.writestr("d/deep.zip", nested(nested(nested(b"x", "1.jpg"), "4.zip"), "3.zip"))
    with tarfile.open(tmp_path / "outer.tar", "w") as archive:
        archive.add(tmp_path / "outer.zip", "outer.zip")
    (tmp_path / "inner.zip").unlink()
    (tmp_path / "inner.tar").unlink()
    tree = FileTree.open(tmp_path / "outer.zip")
    assert contents(tree) == {
        "labels.csv": b"labels",
        **{f"{folder}/{name}": data for folder in "ab" for name, data in FILES.items()},
    }
    assert [name for name, _ in tree.unopened] == ["c/cut.zip", "d/4.zip"]
    assert "cut.zip in" in tree.unopened[0].reason
    assert "lie more than 3 deep" in tree.unopened[1].reason
    assert contents(FileTree.open(tmp_path / "outer.tar"))["a/train/1.jpg"] == b"one"


def test_the_cases_that_were_given(shared_data: Path, tmp_path: Path) -> None:
    cases = shared_data / "cases"
    if not cases.is_dir():
        pytest.skip("the bad inputs (../shared/data/cases) are not on this machine")
    for name in ("bs.zip", "nested.zip", "gzcalled.tar"):
        assert FileTree.open(cases / name).names == ("l.csv", "x/a.jpg", "x/b.jpg"), name


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_loops_of_links_end_and_dead_links_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"one")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe.zip")
    tree = FileTree.open(tmp_path)
    assert tree.names == ("a/1.jpg", "dead.jpg", "pipe.jpg", "pipe.zip", "self.jpg")
    for name in tree.names[1:]:
        with pytest.raises(OSError, match=r"is no regular file"):
            tree.read(name)
    with pytest.raises(OSError, match=r"pipe\.zip is neither a folder nor a file"):
        FileTree.open(tmp_path / "pipe.zip")


def test_links_inside_a_tar_lead_to_their_file_and_odd_names_are_tamed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("a/1.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"one"))
        link = tarfile.TarInfo("a/2.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "a/1.jpg"
        archive.addfile(link)
        soft = tarfile.TarInfo("a/soft.jpg")
        soft.type, soft.linkname = tarfile.SYMTYPE, "1.jpg"
        archive.addfile(soft)
        for name in ("/etc/3.jpg", b"no-utf8-\xff.jpg".decode("utf-8", "surrogateescape")):
            member = tarfile.TarInfo(name)
            archive.addfile(member)
    tree = FileTree.open(tmp_path / "a.tar")
    assert tree.names == ("a/1.jpg", "a/2.jpg", "a/soft.jpg", "etc/3.jpg", "no-utf8-\\xff.jpg")
    assert tree.read("a/2.jpg") == b"one"
    with pytest.raises(OSError, match=r"a/soft\.jpg in .*a\.tar is no regular file"):
        tree.read("a/soft.jpg")


def test_damage_is_told_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        FileTree.open(tmp_path / "nowhere")
    whole = {path.name: path.read_bytes() for path in (write_zip(tmp_path / "a.zip"), write_tar(tmp_path / "a.tar"))}
    whole["a.tar.gz"] = gzip.compress(whole["a.tar"])
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(OSError, match=rf"{name} is no readable archive .*download"):
            FileTree.open(tmp_path / name)
        (tmp_path / name).write_bytes(b"hello")
        with pytest.raises(OSError, match=rf"{name} is no readable archive"):
            FileTree.open(tmp_path / name)


def test_a_broken_archive_in_a_folder_does_not_hide_the_rest(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "broken.zip").write_bytes(b"hello")
    write_zip(tmp_path / "whole.zip")
    tree = FileTree.open(tmp_path)
    assert contents(tree) == FILES
    ((name, reason),) = tree.unopened
    assert name == "deeper/broken.zip"
    assert re.search(r"broken\.zip is no readable archive .*download", reason)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_one_damaged_member_does_not_spoil_the_others(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", method)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("train/2.jpg").header_offset + 30 + len("train/2.jpg")
    data = bytearray(path.read_bytes())
    data[start + 4 : start + 8] = b"\xff\x00\xff\x00"
    path.write_bytes(data)
    tree = FileTree.open(path)
    with pytest.raises(OSError, match=r"train/2.jpg in .*a.zip can't be read"):
        tree.read("train/2.jpg")
    assert tree.read("train/1.jpg") == b"one"


def test_encrypted_oversized_and_unknown_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02", data.index(b"train/1.jpg") + 20)
    while data[central + 46 : central + 57] != b"train/1.jpg":
        central = data.index(b"PK\x01\x02", central + 4)
    data[central + 8] |= 1
    path.write_bytes(data)
    tree = FileTree.open(path)
    with pytest.raises(OSError, match="encrypted"):
        tree.read("train/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"nothing.jpg is not in .*a.zip"):
        tree.read("nothing.jpg")
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 100)
    with pytest.raises(OSError, match="15000 bytes"):
        tree.read("train/2.jpg")


def test_a_bomb_is_not_unpacked_beyond_the_size_that_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", bytes(10_000_000))
    data = path.read_bytes().replace((10_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(OSError, match="checksum"):
        FileTree.open(path).read("1.jpg")


def test_a_packed_archive_that_swells_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_readers, "_MIN_UNPACKED", 1 << 22)
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(OSError, match=r"bomb\.tar\.gz is no readable archive \(it unpacks to more than 100 times"):
        FileTree.open(bomb)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_where_there_is_no_room_to_unpack_it_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "a.tar.gz", "w:gz")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(OSError, match=r"is too small to unpack .*a\.tar\.gz: unpack it yourself, or set TMPDIR"):
        FileTree.open(path)


def test_many_threads_read_at_once_also_from_a_pickled_tree(tmp_path: Path) -> None:
    expected = {f"{i}.bin": bytes([i % 251]) * (i * 37) for i in range(300)}
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in expected.items():
            archive.writestr(name, data)
    tree = pickle.loads(pickle.dumps(FileTree.open(tmp_path / "a.zip")))
    names = list(expected) * 5
    with ThreadPoolExecutor(8) as executor:
        for name, data in zip(names, executor.map(tree.read, names), strict=True):
            assert data == expected[name]


NAMES = st.from_regex(r"[a-zß李 ]{1,8}(/[a-z0-9]{1,5}\.jpg)", fullmatch=True)


@pytest.mark.slow
@given(files=st.dictionaries(NAMES, st.binary(max_size=99)))
def test_any_files_come_back(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("any")
    with zipfile.ZipFile(folder / "a.zip", "w") as packed, tarfile.open(folder / "a.tar", "w") as tar:
        for name, data in files.items():
            packed.writestr(name, data)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    for archive in ("a.zip", "a.tar"):
        assert contents(FileTree.open(folder / archive)) == files
