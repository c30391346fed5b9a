"""A thousand files that no program should have to read, given to the real command."""

from __future__ import annotations

import csv
import ctypes
import gzip
import hashlib
import io
import os
import posixpath
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from agegender_core import read_image
from agegender_core.images import PICTURE_SUFFIXES
from agegender_train.preprocessing.label_table import write_label_table
from agegender_train.store import Store

MadeInputs = Any  # of conftest.py

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, links and limits as Linux has them")

FILES = 1000
SECONDS = 120
PEAK_MIB = 1600
BOMB = 60_000
LARGE = 9_000

Name = bytes


@pytest.mark.slow
def test_a_thousand_hostile_files_end_in_the_store_or_in_the_audit(astronaut_path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    expected = make_hostile(source, read_image(astronaut_path))
    assert sum(len(names) for names in expected.values()) >= FILES
    start = time.monotonic()
    done, peak = run("utkface", source, tmp_path / "store", "--near-duplicates", "0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert time.monotonic() - start < SECONDS
    assert peak < PEAK_MIB * 1024
    assert "Traceback" not in done.stderr
    store = Store.open(tmp_path / "store")
    kept = store.columns("key", "picture_width", "phash").to_pydict()
    rejected = {row["source"]: row for row in pq.read_table(tmp_path / "store" / "audit.parquet").to_pylist()}
    assert len(kept["key"]) == len(set(kept["key"]))
    assert not set(kept["key"]) & set(rejected)
    assert set(kept["key"]) | set(rejected) == {name for names in expected.values() for name in names}
    for name, row in rejected.items():
        assert row["reason"], name
        assert row["value"] or row["reason"] == "no face", row
    for reason, names in expected.items():
        if reason == "kept":
            assert not names & set(rejected), [rejected[name] for name in names & set(rejected)]
        elif reason:
            assert {rejected[name]["reason"] for name in names} == {reason}
    bombs = [name for name in expected["unreadable"] if "bomb" in name]
    assert len(bombs) >= 30
    for name in bombs:
        assert re.search(rf"declares {BOMB} x {BOMB} pixels, more than", rejected[name]["value"]), rejected[name]
    counts = dict(Counter(row["reason"] for row in rejected.values()))
    print(f"{len(rejected)} of {len(rejected) + len(kept['key'])} rejected, {counts}, peak {peak / 1024:.0f} MiB")


def test_a_folder_that_may_not_be_read_is_a_row(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "locked").mkdir(parents=True)
    (source / "30_1_0_20170101000000000.jpg").write_bytes(b"")
    (source / "locked" / "31_1_0_20170101000000001.jpg").write_bytes(b"")
    (source / "locked").chmod(0)
    done, _ = run("utkface", source, tmp_path / "store")
    assert done.returncode == 2, done.stderr  # nothing was kept
    assert reasons(tmp_path / "store") == {
        "30_1_0_20170101000000000.jpg": ("unreadable", "30_1_0_20170101000000000.jpg: the file is empty"),
        "locked/": ("unreadable folder or archive", f"{source / 'locked'} can't be listed: Permission denied"),
    }


def test_a_source_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "locked").mkdir(mode=0)
    done, _ = run("utkface", source, tmp_path / "store")
    assert done.returncode == 2
    assert f"{source / 'locked'} can't be listed: Permission denied" in done.stderr
    source.chmod(0)
    done, _ = run("utkface", source, tmp_path / "store")
    assert done.returncode == 2
    assert f"path '{source}' is not readable" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_broken_archives_are_named_in_one_sentence_and_are_rows_within_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "30_1_0_20170101000000000.jpg").write_bytes(b"")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for i in range(20):
            member = tarfile.TarInfo(f"{i}_1_0_20170101000000000.jpg")
            member.size = 3000
            archive.addfile(member, io.BytesIO(os.urandom(3000)))
    tar = whole.getvalue()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as pack:
        pack.writestr("1_1_0_20170101000000000.jpg", os.urandom(3000))
    broken = {
        "cut.tar": tar[:30_000],
        "cut.tar.gz": gzip.compress(tar)[:20_000],
        "flipped.tar.gz": gzip.compress(tar)[:5000] + b"\0" * 30 + gzip.compress(tar)[5030:],
        "swelling.tar.gz": gzip.compress(bytes(300_000_000), 1),
        "cut.zip": zipped.getvalue()[:-10],
        "empty.zip": b"",
    }
    for name, data in broken.items():
        (source / name).write_bytes(data)
        done, peak = run("utkface", source / name, tmp_path / "store")
        assert done.returncode == 2, name
        assert re.fullmatch(
            rf"agegender: \S+{re.escape(name)} is no readable archive \(.*\); is its download complete\?\n", done.stderr
        )
        assert peak < PEAK_MIB * 1024
    done, peak = run("utkface", source, tmp_path / "store")
    assert done.returncode == 2, done.stderr  # nothing was kept
    rows = reasons(tmp_path / "store")
    assert rows.keys() == {*broken, "30_1_0_20170101000000000.jpg"}
    for name in broken:
        assert rows[name][0] == "unreadable folder or archive"
        assert f"{name} is no readable archive" in rows[name][1]
    assert peak < PEAK_MIB * 1024


def reasons(store: Path) -> dict[str, tuple[str, str]]:
    """Reason and value of every row of the audit, by its name."""
    rows = pq.read_table(store / "audit.parquet").to_pylist()
    named = {row["source"]: (row["reason"], row["value"]) for row in rows}
    assert len(named) == len(rows)
    return named


@pytest.mark.slow
def test_bombs_in_archives_become_rows(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    names = [f"{i}_1_0_2017010100000000{i}.jpg" for i in range(4)]
    with zipfile.ZipFile(source / "bombs.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
        with pack.open(names[0], "w") as member:
            for _ in range(60):
                member.write(bytes(10_000_000))  # larger than any picture
        pack.writestr(names[1], bytes(100_000_000))
        pack.writestr(names[2], zlib.compress(bytes(1000)))
        pack.writestr("x/" * 2000 + names[3], b"deep")
    done, peak = run("utkface", source, tmp_path / "store")
    assert done.returncode == 2, done.stderr  # nothing was kept
    rejected = pq.read_table(tmp_path / "store" / "audit.parquet").to_pylist()
    assert [row["reason"] for row in rejected] == ["unreadable"] * 4
    assert "more than any picture" in rejected[0]["value"]
    assert peak < PEAK_MIB * 1024


@pytest.mark.slow
def test_label_files_with_missing_fields_are_named_in_one_sentence(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    fields = {
        "dob": np.array([[700000.0]]),
        "photo_taken": np.array([[2010.0]]),
        "full_path": np.array([["a/1.jpg"]], object),
        "gender": np.array([[1.0]]),
        "face_location": np.array([[np.array([[1.0, 1, 9, 9]])]], object),
        "face_score": np.array([[1.0]]),
        "second_face_score": np.array([[np.nan]]),
    }
    file = tmp_path / "wiki.mat"
    for missing in ("dob", "full_path", "second_face_score"):
        savemat(file, {"wiki": {name: value for name, value in fields.items() if name != missing}})
        done, _ = run("wiki", file, tmp_path / "labels", "--labels-only")
        assert done.returncode == 2, missing
        assert done.stderr.startswith("agegender: ")
        assert missing in done.stderr
        assert done.stderr.count("\n") <= 2
    savemat(file, fields)
    assert run("wiki", file, tmp_path / "labels", "--labels-only")[0].returncode == 2
    file.write_bytes(file.read_bytes()[:300])
    assert run("wiki", file, tmp_path / "labels", "--labels-only")[0].returncode == 2


@pytest.mark.slow
def test_a_thousand_made_inputs_are_rows_and_stay_as_they_are(
    astronaut_path: Path, tmp_path: Path, made_inputs: Callable[..., MadeInputs]
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    face = Image.fromarray(read_image(astronaut_path)[20:240, 110:330])
    made = made_inputs(source, face)
    upright = made.every_format_in_every_orientation(PICTURE_SUFFIXES)
    made.names_in_any_bytes(250)
    made.suffixes_that_disagree(350, PICTURE_SUFFIXES)
    for suffix in (".zip", ".tar", ".tgz", ".tar.xz"):  # a picture called an archive is no readable archive
        made.add(f"picture{suffix}", made.saved(face, "JPEG"))
    archived = archives_of_three_systems(made)
    assert len(made.expected) >= FILES
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in source.rglob("*")}
    done, peak = run("utkface", source, tmp_path / "store", "--near-duplicates", "0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert peak < PEAK_MIB * 1024
    assert "Traceback" not in done.stderr
    kept = Store.open(tmp_path / "store").columns("key").to_pydict()["key"]
    rejected = reasons(tmp_path / "store")
    assert sorted([*kept, *rejected]) == sorted(made.expected)
    copies = ("duplicate", "conflicting labels")
    assert {name: rejected[name] for name in upright if name in rejected and rejected[name][0] not in copies} == {}
    assert {name: rejected[name] for name in archived if name in rejected} == {}
    for name, (reason, value) in rejected.items():
        assert value or reason == "no face", name
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in source.rglob("*")} == before
    counts = dict(Counter(reason for reason, _ in rejected.values()))
    print(f"{len(kept)} kept of {len(made.expected)}, {counts}, peak {peak / 1024:.0f} MiB")


def archives_of_three_systems(made: MadeInputs) -> list[str]:
    """Returns the names of the members that must be found."""
    found = []

    def members(folder: str) -> dict[str, bytes]:
        named = {}
        for _ in range(12):
            name = f"{folder}/{made.name('.jpg')}"
            made.expected.append(name)
            named[name] = made.saved(made.picture(), "JPEG")
        found.extend(named)
        return named

    for number, suffix in enumerate([".zip", ".tar", ".dat"]):
        with zipfile.ZipFile(made.root / f"windows{number}{suffix}", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("Bilder\\", b"")
            for name, data in members(f"Bilder/w{number}").items():
                info = zipfile.ZipInfo(name.replace("/", "\\"))
                info.create_system = 0
                archive.writestr(info, data)
            archive.writestr(f"Bilder\\w{number}\\Thumbs.db", b"x")
        path = made.root / f"macos{number}{suffix}"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members(f"u\u0308ber/m{number}").items():
                # The name must come into the archive as UTF-8 that isn't marked as such.
                info = zipfile.ZipInfo(name.replace("u\u0308", "uXX"))
                info.create_system = 3
                archive.writestr(info, data)
                archive.writestr(f"__MACOSX/uXXber/._{posixpath.basename(name)}", b"\0\x05\x16\x07")
            archive.writestr("uXXber/.DS_Store", b"x")
        path.write_bytes(path.read_bytes().replace(b"uXXber", "u\u0308ber".encode()))
        mode: Any = ["w", "w:gz", "w:xz"][number]
        with tarfile.open(made.root / f"linux{number}{suffix}", mode) as tar:
            for name, data in members(f"l{number}").items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo(f"./l{number}/{made.name('.jpg')}")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
            made.expected.append(link.name[2:])
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for name, data in members("inner").items():
            archive.writestr(name, data)
    with zipfile.ZipFile(made.root / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("cut.zip", inner.getvalue()[:5000])
    made.expected.append("cut.zip")
    return found


Rows = list[list[str]]


def _as_text(rows: Rows, delimiter: str, end: str, quoting: Any = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


PROGRAMS: dict[str, Callable[[Rows], bytes]] = {
    "Excel": lambda rows: _as_text(rows, ";", "\r\n").encode("cp1252", "replace"),
    "Excel, UTF-8": lambda rows: _as_text(rows, ",", "\r\n").encode("utf-8-sig"),
    "Excel, Unicode text": lambda rows: _as_text(rows, "\t", "\r\n").encode("utf-16"),
    "Excel, sep=": lambda rows: b"sep=;\r\n" + _as_text(rows, ";", "\r\n").encode(),
    "Excel, Macintosh": lambda rows: _as_text(rows, ";", "\r").encode("mac_roman", "replace"),
    "LibreOffice": lambda rows: _as_text(rows, ",", "\n", csv.QUOTE_ALL).encode(),
    "Google Sheets": lambda rows: _as_text(rows, ",", "\r\n").encode(),
    "Numbers": lambda rows: _as_text(rows, ";", "\n").encode("utf-16-be"),
}


@pytest.mark.slow
def test_tables_as_spreadsheet_programs_write_them_are_rows(tmp_path: Path) -> None:
    rng = random.Random(12)
    words = ["a", "b\u00fc", "C", "d e", "\u674e", "\u00e9"]
    ages = [
        "24",
        "24,5",
        "24.5",
        "3-9",
        "03-Sep",
        "Oct-19",
        "(25, 32)",
        "60+",
        "",
        "x",
        "-1",
        "999",
        "1e9",
        "24 ",
        "2,4,5",
    ]
    genders = ["m", "F", "male", "0", "w", "", "?"]
    out = tmp_path / "labels"
    for number in range(400):
        program = rng.choice(list(PROGRAMS))
        folder = tmp_path / f"{number}"
        names = {f"{rng.choice(words)}/{rng.choice(words)}{i}.jpg" for i in range(rng.randrange(1, 9))}
        rows = []
        for name in sorted(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")
            styles = [name, name.replace("/", "\\"), name.upper(), f"C:\\x\\{name}", f"../{folder.name}/{name}"]
            rows.append(
                [rng.choice([*styles, str(folder / name), "nowhere.jpg", ""]), rng.choice(ages), rng.choice(genders)]
            )
        header = [rng.choice(["path", "Path ", "PATH"]), "age", rng.choice(["gender", "Gender"])]
        (folder / "people.csv").write_bytes(PROGRAMS[program]([header, *rows]))
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for source in (folder, folder / "people.csv"):
            audit = write_label_table("csv", source, out)
            keys = [*pq.read_table(out / "labels.parquet")["key"].to_pylist(), *reasons(out)]
            assert len(keys) == len(set(keys)) == audit["rows"], program
            assert audit["rows"] >= sum(any(row) for row in rows), program
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def run(dataset: str, source: Path, out: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """The real command in a process that, root's or not, heeds permissions; and the most memory it had, in KiB."""
    code = "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"
    arguments = ["preprocess", dataset, str(source), "--output", str(out), *options]
    extra = [] if "--labels-only" in options else ["--quiet", "--no-report", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, *extra],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_without_rights,
    )
    peak = [0]
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:  # rusage would count other children of the tests
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        peak[0] = max(peak[0], int(found[1]) if found else 0)
        try:
            out_text, err_text = process.communicate(timeout=0.05)
            return subprocess.CompletedProcess(arguments, process.returncode, out_text, err_text), peak[0]
        except subprocess.TimeoutExpired:
            continue
    out_text, err_text = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, out_text, err_text), peak[0]


def _without_rights() -> None:
    """Takes from root the right to read what permissions forbid, and from everybody endless time and memory."""
    drop, read_all, search_all = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc = ctypes.CDLL(None)
    libc.prctl(drop, read_all)
    libc.prctl(drop, search_all)
    resource.setrlimit(resource.RLIMIT_CPU, (2 * SECONDS, 2 * SECONDS))


def make_hostile(root: Path, frame: np.ndarray) -> dict[str, set[str]]:
    """Writes the files; returns their names as the audit has them by what becomes of them ("" for anything)."""
    rng = random.Random(2018)
    picture = Image.fromarray(frame)
    kinds = {
        "jpg": _saved(picture, "JPEG", quality=85),
        "progressive.jpg": _saved(picture, "JPEG", quality=80, progressive=True),
        "png": _saved(picture, "PNG"),
        "webp": _saved(picture, "WEBP"),
        "gif": _saved(picture.quantize(64), "GIF"),
        "tif": _saved(picture, "TIFF", compression="tiff_lzw"),
        "raw.tif": _saved(picture, "TIFF"),
        "bmp": _saved(picture, "BMP"),
    }
    expected: dict[str, set[str]] = {"kept": set(), "unreadable": set(), "": set()}
    count = 0

    def add(data: bytes | Callable[[bytes], None], suffix: str, result: str, folder: str | bytes = "") -> None:
        nonlocal count
        name = os.fsencode(folder) + f"{count % 101}_{count % 2}_0_{20170101000000000 + count}".encode()
        name += b"." + suffix.encode()
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(data, bytes):
            with open(path, "wb") as file:
                file.write(data)
        else:
            data(path)
        expected[result].add(name.decode("utf-8", "backslashreplace"))
        count += 1

    for kind, data in kinds.items():  # whole, made unlike one another by a shift of the picture
        for i in range(3):
            moved = Image.fromarray(np.roll(frame, (i * 3 + len(kind), count * 5), (0, 1)))
            if kind in ("gif", "tif", "raw.tif", "bmp", "webp"):
                options = {"compression": "tiff_lzw"} if kind == "tif" else {}
                data = _saved(moved.quantize(64) if kind == "gif" else moved, _format(kind), **options)
            else:
                data = _saved(moved, _format(kind))
            add(data, "jpg" if kind == "gif" else kind, "")
    for kind, data in kinds.items():  # cut off
        for _ in range(45):
            suffix = "jpg" if kind == "gif" else kind
            add(
                data[: rng.randrange(1, len(data) - 64)],
                suffix,
                "unreadable" if suffix[-3:] in ("jpg", "png") and kind != "gif" else "",
            )
    for kind, data in kinds.items():  # bits turned
        for _ in range(30):
            broken = bytearray(data)
            for _ in range(rng.choice([1, 3, 20, 200])):
                broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
            add(bytes(broken), "jpg" if kind == "gif" else kind, "")
    for _ in range(40):  # no pictures
        wrong = [
            b"%PDF-1.7\n",
            b"<html>404</html>",
            b"PK\x03\x04",
            b"\x7fELF",
            b"RIFF\0\0\0\0WEBP",
            b"\x89PNG\r\n\x1a\n",
        ]
        add(
            rng.choice(wrong) + rng.randbytes(rng.randrange(0, 3000)),
            rng.choice(["jpg", "png", "webp", "bmp"]),
            "unreadable",
        )
        add(rng.randbytes(rng.randrange(1, 5000)), rng.choice(["jpg", "png", "webp", "tiff"]), "unreadable")
    for suffix in ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"):
        add(b"", suffix, "unreadable")
    for bomb in _bombs():
        for i in range(5):
            add(bomb + bytes(i), f"bomb{i}.jpg", "unreadable")
    large = _flat_png(LARGE)  # so large that two at once would be too much, but not a bomb
    add(large, "large.png", "")
    add(large + b"\0", "large.png", "")
    for i, special in enumerate(_special(frame)):
        add(special, f"{i}.jpg", "kept")
    names: list[str | bytes] = [
        "Jürgen und 李/", "a b  c/", "line\nbreak/", "tab\t\x01/", "'\";$(rm)&/", "-rf/", "🙂/", "%s%n/", "e\u0301/",
        b"no-utf8-\xff\xfe/", b"\x80/", "x" * 200 + "/", "deep/" * 300,
    ]  # fmt: skip
    for i, name in enumerate(names):
        moved = Image.fromarray(np.roll(frame, (i * 4 + 2, i * 6 - 30), (0, 1)))
        add(_saved(moved, "PNG"), "png", "kept", name)
        add(b"", "png", "unreadable", name)
    for i in range(6):
        add(lambda path: os.symlink(path, path), "loop.jpg", "unreadable")
        add(lambda path: os.symlink(b"nowhere", path), "dead.jpg", "unreadable")
        add(lambda path: os.mkfifo(path), "pipe.jpg", "unreadable")
        add(lambda path: os.symlink(b"/dev/zero", path), "device.jpg", "unreadable")
        add(lambda path, i=i: _locked(path, kinds["jpg"] + bytes([i])), "locked.jpg", "unreadable")
        add(_socket, "socket.jpg", "unreadable")
    os.symlink(root, root / "deep" / "loop")
    os.symlink("..", root / "deep" / "up")
    while count < FILES:
        kind = rng.choice(list(kinds))
        data = bytearray(kinds[kind])
        start = rng.randrange(len(data))
        del data[start : start + rng.randrange(1, 500)]
        add(bytes(data), "jpg" if kind == "gif" else kind, "")
    return expected


def _format(kind: str) -> str:
    return {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "tif": "TIFF", "bmp": "BMP"}[kind.split(".")[-1]]


def _saved(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _special(frame: np.ndarray) -> list[bytes]:
    """Pictures of rare kinds that must be read all the same; no two of them alike."""

    def shifted(step: int) -> Image.Image:
        return Image.fromarray(np.roll(frame, (step * 7 - 40, step * 11 - 60), (0, 1)))

    sixteen = np.asarray(shifted(4).convert("L")).astype(np.uint16) * 257
    frames = [shifted(6), shifted(6).rotate(90)]
    return [
        _saved(shifted(0).convert("CMYK"), "JPEG"),
        _saved(shifted(1).convert("L"), "JPEG"),
        _saved(shifted(2).convert("RGBA"), "PNG"),
        _saved(shifted(3).convert("LA"), "PNG"),
        _saved(Image.fromarray(sixteen), "PNG"),
        _saved(Image.fromarray(np.roll(sixteen, 30, 0)), "TIFF"),
        _saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        _saved(shifted(7), "WEBP", save_all=True, append_images=frames),
        _saved(shifted(8), "WEBP", lossless=True),
        _saved(shifted(10).quantize(200), "GIF", save_all=True, append_images=[frames[1].quantize(64)]),
        _saved(shifted(11).quantize(200), "PNG"),
        _saved(shifted(12), "JPEG", progressive=True) + b"\0" * 3000,
    ]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _flat_png(side: int) -> bytes:
    packer = zlib.compressobj(1)
    row = bytes(side + 1)
    data = b"".join([*(packer.compress(row * 500) for _ in range(side // 500)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _bombs() -> list[bytes]:
    """Small files of each format that declare 60,000 x 60,000 pixels."""
    side = struct.pack(">H", BOMB)
    small = Image.new("RGB", (16, 16))
    jpeg = bytearray(_saved(small, "JPEG"))
    jpeg[(start := jpeg.index(b"\xff\xc0") + 5) : start + 4] = side * 2
    head = struct.pack(">IIBBBBB", BOMB, BOMB, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + _chunk(b"IEND", b"")
    )
    gif = bytearray(_saved(small.quantize(4), "GIF"))
    gif[6:10] = struct.pack("<HH", BOMB, BOMB)
    bmp = bytearray(_saved(small, "BMP"))
    bmp[18:26] = struct.pack("<ii", BOMB, BOMB)
    tiff = bytearray(_saved(small, "TIFF"))
    for tag in (256, 257):
        start = (
            tiff.index(struct.pack("<HH", tag, 4), 8)
            if struct.pack("<HH", tag, 4) in tiff
            else tiff.index(struct.pack("<HH", tag, 3), 8)
        )
        tiff[start : start + 12] = struct.pack("<HHII", tag, 4, 1, BOMB)
    extended = b"VP8X" + struct.pack("<IB3x", 10, 0) + (BOMB - 1).to_bytes(3, "little") * 2
    webp = b"RIFF" + struct.pack("<I", 4 + len(extended) + 100) + b"WEBP" + extended + bytes(100)
    return [bytes(jpeg), png, bytes(gif), bytes(bmp), bytes(tiff), webp]


def _locked(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0)


def _socket(path: bytes) -> None:
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # a socket's path may have 108 characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.basename(path))
    finally:
        os.chdir(here)
