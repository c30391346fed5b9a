"""Archives as people have them, and as somebody would make them to do harm."""

from __future__ import annotations

import bz2
import io
import os
import random
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agegender_core.many.archives import Listed, list_archive
from agegender_core.many.listing import Item, Listing, Part

CONTENT = {"b/two.jpg": b"two" * 1000, "a/one.png": b"one", "c/größe ñ.webp": os.urandom(5000)}


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def read_all(listed: Listed) -> dict[str, bytes | str]:
    """Each picture's content, or why it can't be read."""
    found: dict[str, bytes | str] = {}
    for part in listed.parts:
        if not len(part.keys):
            continue
        reader = part.source.open()
        for key in part.keys:
            try:
                found[part.source.name(key)] = reader.read(key)
            except OSError as error:
                found[part.source.name(key)] = str(error)
        reader.close()
    return found


KINDS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "a.zip": write_zip,
    "stored.zip": lambda path, files: write_zip(path, files, zipfile.ZIP_STORED),
    "a.tar": write_tar,
    "a.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "a.TGZ": lambda path, files: write_tar(path, files, "w:gz"),
    "a.tar.bz2": lambda path, files: write_tar(path, files, "w:bz2"),
    "a.txz": lambda path, files: write_tar(path, files, "w:xz"),
    "a browser unpacked it.tar.gz": write_tar,
}


@pytest.mark.parametrize("name", KINDS)
def test_members_are_read_in_place_in_their_order(tmp_path: Path, name: str) -> None:
    more = {**CONTENT, "notes.txt": b"no picture", "__MACOSX/b/._two.jpg": b"x", ".hidden.jpg": b"x", "d/": b""}
    KINDS[name](tmp_path / name, {key: data for key, data in more.items() if not key.endswith("/")})
    listed = list_archive(name, str(tmp_path))
    assert read_all(listed) == {f"{name}/{key}": data for key, data in CONTENT.items()}
    assert listed.skipped == [f"{name}/notes.txt"]
    assert os.listdir(tmp_path) == [name]
    (part, _) = listed.parts
    assert [Item(part.source, key).stem for key in part.keys] == ["two", "one", "größe_ñ"]
    # Another process reads some of them, in any order.
    reader = part.source.open()
    assert [reader.read(part.keys[n]) for n in (2, 0, 1)] == [CONTENT[key] for key in ("c/größe ñ.webp", *CONTENT)][:3]
    reader.close()


def test_no_name_leads_out_of_an_archive(tmp_path: Path) -> None:
    names = ["../../out.jpg", "/etc/abs.jpg", "..\\..\\win.jpg", "C:\\x.jpg", "a/../../b.jpg", "bell\a\n.jpg"]
    for archive in (
        write_zip(tmp_path / "x.zip", dict.fromkeys(names, b"data")),
        write_tar(tmp_path / "x.tar", dict.fromkeys(names, b"data")),
    ):
        before = sorted(tmp_path.parent.rglob("*"))
        listed = list_archive(str(archive), "/")
        assert set(read_all(listed).values()) == {b"data"}
        for item in Listing(listed.parts):
            assert item.path is None
            assert Path(item.stem).name == item.stem
            assert item.stem not in ("", ".", "..")
            assert "\\" not in item.stem
            assert item.stem.isprintable()
        assert sorted(tmp_path.parent.rglob("*")) == before


def test_links_in_a_tar_lead_nowhere_outside(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        good = tarfile.TarInfo("good.jpg")
        good.size = 3
        archive.addfile(good, io.BytesIO(b"abc"))
        for kind, name, target in (
            (tarfile.SYMTYPE, "s.jpg", "/etc/passwd"),
            (tarfile.LNKTYPE, "h.jpg", "/etc/passwd"),
            (tarfile.LNKTYPE, "same.jpg", "good.jpg"),
            (tarfile.FIFOTYPE, "p.jpg", ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    assert read_all(list_archive(str(path), "/")) == {
        f"{path}/good.jpg": b"abc",
        f"{path}/same.jpg": b"abc",
        f"{path}/h.jpg": "it is a link to what is not in the archive",
    }


def test_of_two_members_of_one_name_the_later_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    write_tar(path, {"a.jpg": b"old", "b.jpg": b"b"})
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"new"))
    assert read_all(list_archive(str(path), "/")) == {f"{path}/b.jpg": b"b", f"{path}/a.jpg": b"new"}


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz"])
def test_what_is_broken_says_so_and_the_rest_is_read(tmp_path: Path, name: str) -> None:
    """Cut off anywhere, and with bytes changed anywhere: a row with a reason, the right content, or nothing."""
    files = {f"{n}.jpg": bytes([n]) * 3000 + random.Random(n).randbytes(2000) for n in range(6)}
    whole = KINDS.get(f"a{name[1:]}", lambda path, files: write_tar(path, files, "w:xz"))(tmp_path / name, files)
    data = whole.read_bytes()
    rng = random.Random(name)
    broken = [data[: rng.randrange(len(data))] for _ in range(12)] + [b"", b"no archive at all" * 100]
    for _ in range(40):
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        broken.append(bytes(changed))
    reasons = set()
    for content in broken:
        whole.write_bytes(content)
        for shown, found in read_all(list_archive(str(whole), "/")).items():
            if isinstance(found, str):
                reasons.add(found)
                assert "\n" not in found
            elif name.endswith("zip") and shown.removeprefix(f"{whole}/") in files:
                assert found == files[shown.removeprefix(f"{whole}/")]  # its checksum holds
    assert any("broken" in reason or "cut off" in reason for reason in reasons)
    assert read_all(list_archive(str(tmp_path / "none.zip"), "/")) == {
        str(tmp_path / "none.zip"): "No such file or directory"
    }


def test_a_bomb_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    huge = 1 << 40
    lying = bytearray(write_zip(tmp_path / "lies.zip", {"a.jpg": bytes(50_000_000)}).read_bytes())
    at = lying.rindex(b"PK\1\2")
    lying[at + 24 : at + 28] = struct.pack("<I", 1000)  # says that it has 1000 bytes
    (tmp_path / "lies.zip").write_bytes(lying)
    with zipfile.ZipFile(tmp_path / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("z.jpg", "w") as z:
        for _ in range(300):
            z.write(bytes(1 << 20))
    claims = tarfile.TarInfo("huge.jpg")
    claims.size = huge
    (tmp_path / "claims.tar").write_bytes(claims.tobuf(tarfile.GNU_FORMAT) + bytes(5000))
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, huge
    (tmp_path / "name.tar.bz2").write_bytes(bz2.compress(name.tobuf(tarfile.GNU_FORMAT) + bytes(5000)))
    pieces = bz2.compress(claims.tobuf(tarfile.GNU_FORMAT)) + bz2.compress(bytes(64 << 20)) * 30
    (tmp_path / "zeros.tar.bz2").write_bytes(pieces)

    tracemalloc.start()
    start = time.monotonic()
    found = {}
    for path in sorted(tmp_path.iterdir()):
        found[path.name] = next(iter(read_all(list_archive(str(path), "/")).values()))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert time.monotonic() - start < 10
    assert found == {
        "claims.tar": "the archive is broken: it is cut off",
        "lies.zip": "the archive is broken: its checksum is wrong",
        "name.tar.bz2": "the archive is broken: it has a header without an end",
        "zeros.tar.bz2": "the archive is broken: it unpacks to more than 100 times its size",
        "zeros.zip": "it has 314,572,800 bytes, more than any picture (256 MiB)",
    }


def test_what_is_encrypted_or_packed_in_another_way_says_so(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.jpg": b"abc"}, zipfile.ZIP_LZMA)
    assert list(read_all(list_archive(str(path), "/")).values()) == [
        "it is compressed in a way that is not read here (method 14)"
    ]
    data = bytearray(write_zip(path, {"a.jpg": b"abc"}).read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert list(read_all(list_archive(str(path), "/")).values()) == ["it is encrypted"]


def test_a_part_of_a_listing_reads_only_its_own(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {f"{n:03}.jpg": str(n).encode() for n in range(100)})
    listing = Listing([*list_archive(str(path), "/").parts, *list_archive(str(path), "/").parts])
    assert len(listing) == 200
    names = [item.name for item in listing]
    assert [item.name for start in range(0, 200, 33) for item in listing.between(start, start + 33)] == names
    assert listing.fingerprint() == Listing(listing.parts).fingerprint() != listing.between(0, 199).fingerprint()
    assert Listing([Part(listing.parts[0].source, range(3))]).fingerprint() != Listing().fingerprint()
