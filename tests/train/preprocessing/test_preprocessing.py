from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from agegender_core.faces import Faces, Frame
from agegender_train.datasets import Dataset, Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.files import folder_lock
from agegender_train.preprocessing import making, preprocess, shards
from agegender_train.preprocessing.pictures import Tools
from agegender_train.store import Store

PICTURES = 95
ENTRIES = PICTURES + 5


def detect(frame: Frame, faces: Faces) -> Faces:
    """The bright square, where there is one."""
    ys, xs = np.nonzero(frame[..., 0] > 128)
    boxes = [[xs.min(), ys.min(), xs.max(), ys.max()]] if len(xs) > 10 else []
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32))


def align(frame: Frame, faces: Faces) -> Faces:
    left, top, right, bottom = faces.xyxy[0].astype(int)
    chip = cv2.resize(frame[top:bottom, left:right], (32, 32))
    landmarks = np.full((1, 5, 2), left, np.float32)
    return faces.with_columns(landmarks=landmarks, chips=chip[None])


def decode(data: bytes, name: str) -> Frame:
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if frame is None:
        raise ValueError(f"{name}: no picture")
    return np.ascontiguousarray(frame[..., ::-1])


TOOLS = Tools(detect, align, decode, "sha")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "SHARD_PICTURES", 10)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures as UTKFace's, some dark (no face), some broken, some copies, some of somebody aged 110."""
    folder = tmp_path_factory.mktemp("source")
    noise = np.random.default_rng(1)
    for i in range(PICTURES):
        age = 110 if i in (40, 41) else i
        frame = noise.integers(0, 100, (64, 64, 3), np.uint8)
        if i % 7:
            frame[10:50, 12:56] = noise.integers(140, 250, (40, 44, 3))
        data = cv2.imencode(".png", frame)[1].tobytes()
        path = folder / f"{age}_{i % 2}_{i % 5}_{20170116000000000 + i}.png"
        path.write_bytes(data[:50] if i == 30 else b"" if i == 31 else data)
        if i in (50, 51):  # 50 once more with the same label, 51 with another age
            (folder / f"{age + i - 50}_{i % 2}_0_{20180116000000000 + i}.png").write_bytes(data)
        if i in (60, 61):  # brighter: 60 with the same label, 61 with another gender
            brighter = cv2.imencode(".png", frame + np.uint8(i - 58))[1].tobytes()
            (folder / f"{age}_0_0_{20190116000000000 + i}.png").write_bytes(brighter)
    (folder / "who.png").write_bytes(b"no label")
    return folder


EXPECTED_REJECTIONS = {
    "age out of range": 2,
    "conflicting labels": 4,
    "duplicate": 1,
    "label not understood": 1,
    "near-duplicate": 1,
    "no face": 14,
    "unreadable": 2,
}


def run(source: Path, out: Path, **options: Any) -> dict[str, Any]:
    return preprocess("utkface", source, out, **({"tools": TOOLS, "size": 32, "workers": 2} | options))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "store"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(making, "SHARD_PICTURES", 10)
        run(source, out, workers=1)
    return out


def test_every_picture_is_in_the_store_or_in_the_audit_and_none_twice(source: Path, reference: Path) -> None:
    audit = json.loads((reference / "audit.json").read_text())
    assert audit["rejected"] == EXPECTED_REJECTIONS
    assert audit["pictures"] == ENTRIES == audit["kept"] + sum(EXPECTED_REJECTIONS.values())
    assert audit["box_from"] == {"detected": audit["kept"]}
    opened = Store.open(reference)
    assert len(opened) == audit["kept"]
    rejected = [
        row for path in sorted((reference / "audit").glob("part-*")) for row in json.loads(path.read_text())["rows"]
    ]
    keys = [*opened.labels().key, *(key for key, _, _ in rejected)]
    assert sorted(keys) == sorted(path.name for path in source.iterdir())
    assert len(list(reference.glob("shard-*.parquet"))) == 10
    assert opened.labels().key.tolist() == sorted(opened.labels().key)


def test_the_audit_lists_every_rejected_entry_in_the_readers_order(source: Path, reference: Path) -> None:
    table = pq.read_table(reference / "audit.parquet")
    assert table.column_names == ["dataset", "source", "reason", "value"]
    rows = table.to_pylist()
    assert Counter(row["reason"] for row in rows) == EXPECTED_REJECTIONS
    assert {row["dataset"] for row in rows} == {"utkface"}
    keys = [row["source"] for row in rows]
    assert keys == sorted(keys)
    assert not set(keys) & set(Store.open(reference).labels().key)
    near = next(row for row in rows if row["reason"] == "near-duplicate")
    assert (near["source"], near["value"]) == ("60_0_0_20190116000000060.png", "60_0_0_20170116000000060.png")
    conflicts = {row["source"]: row["value"] for row in rows if row["reason"] == "conflicting labels"}
    assert conflicts == {
        "51_1_1_20170116000000051.png": "52_1_0_20180116000000051.png",  # equal files
        "52_1_0_20180116000000051.png": "51_1_1_20170116000000051.png",
        "61_0_0_20190116000000061.png": "61_1_1_20170116000000061.png",  # look the same
        "61_1_1_20170116000000061.png": "61_0_0_20190116000000061.png",
    }


def test_the_counts_say_how_the_faces_were_come_by(reference: Path) -> None:
    audit = json.loads((reference / "audit.json").read_text())
    assert audit["detector"] == "hog"
    assert (audit["faces_policy"], audit["min_face"], audit["near_duplicates"]) == ("largest", 24, 8)
    assert audit["box_from_share"] == {"detected": 1.0}
    assert audit["pictures_kept"] == audit["kept"] == len(Store.open(reference))
    parts = [json.loads(path.read_text()) for path in sorted((reference / "audit").glob("part-*"))]
    for name in ("pictures", "pictures_kept", "faces", "kept"):
        assert sum(part[name] for part in parts) == audit[name]
    for part in parts:
        content = (reference / part["shard"]["name"]).read_bytes()
        assert part["shard"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert part["shard"]["rows"] == part["kept"]


def test_nothing_of_the_work_stays(reference: Path) -> None:
    names = {path.name for path in reference.iterdir() if not path.name.startswith("shard-")}
    assert names == {".lock", "audit", "audit.json", "audit.parquet", "store.json"}


def test_without_near_duplicates_only_equal_files_are_left_out(source: Path, tmp_path: Path) -> None:
    audit = run(source, tmp_path / "store", near_duplicates=None)
    assert audit["rejected"].get("near-duplicate") is None
    assert audit["rejected"]["conflicting labels"] == 2
    assert not (tmp_path / "store" / "audit" / "near-duplicates.json").exists()


def test_all_faces_of_a_picture_become_rows_and_copies_among_them_are_left_out(source: Path, tmp_path: Path) -> None:
    def detect_three(frame: Frame, faces: Faces) -> Faces:
        found = detect(frame, faces)
        if not len(found):
            return found
        left, top, right, bottom = found.xyxy[0]
        boxes = [[left, top, right, bottom], [left, top, right, bottom], [left, top, left + 25, top + 25]]
        return Faces(np.array(boxes, np.float32), np.ones(3, np.float32))

    def align_all(frame: Frame, faces: Faces) -> Faces:
        each = [align(frame, faces[i : i + 1]) for i in range(len(faces))]
        return faces.with_columns(
            landmarks=np.concatenate([face.landmarks for face in each]),
            chips=np.concatenate([face.chips for face in each]),
        )

    tools = Tools(detect_three, align_all, decode, "sha")
    audit = run(source, tmp_path / "store", tools=tools, faces="all", limit=30)
    store = Store.open(tmp_path / "store").columns("key", "face").to_pylist()
    assert audit["pictures"] == 30 == audit["pictures_kept"] + sum(audit["rejected"].values())
    assert audit["pictures_kept"] == len({row["key"] for row in store})
    assert audit["kept"] == len(store) == len({(row["key"], row["face"]) for row in store})
    assert audit["pictures_kept"] < audit["kept"] < 3 * audit["pictures_kept"]  # the second face is the first one again
    assert "near-duplicate" not in audit["rejected"]  # another face of the picture is in the store
    dropped = json.loads((tmp_path / "store" / "audit" / "near-duplicates.json").read_text())["rows"]
    assert len(dropped) == 3 * audit["pictures_kept"] - audit["kept"] > 0


def test_labels_without_their_picture_are_counted(source: Path, tmp_path: Path) -> None:
    class Absent(Dataset):
        name, title, licence, url, layout = "absent", "", "", "", ""

        def samples(self, files: FileTree) -> list[Sample | Rejection]:
            there = [Sample(name, 30, 30, 1) for name in files.names[:5]]
            return [*there, Sample("no/1.jpg", 30, 30, 1), Sample("no/2.jpg", 130, 130, 1), Rejection("x", "why")]

    audit = preprocess(Absent(), source, tmp_path / "store", tools=TOOLS, size=32, near_duplicates=None)
    assert audit["rejected"] | {"no face": 0} == {
        "age out of range": 1,
        "missing from the archive": 1,
        "no face": 0,
        "why": 1,
    }
    assert audit["pictures"] == 8


def test_a_reader_that_gives_an_entry_twice_is_found_out(source: Path, tmp_path: Path) -> None:
    class Twice(Dataset):
        name, title, licence, url, layout = "twice", "", "", "", ""

        def samples(self, files: FileTree) -> list[Sample | Rejection]:
            return [Sample(files.names[0], 30, 30, 1), Rejection(files.names[0], "why")]

    with pytest.raises(RuntimeError, match="the reader of twice gives a picture twice"):
        preprocess(Twice(), source, tmp_path / "store", tools=TOOLS, size=32)


def test_a_store_whose_audit_is_lost_gets_it_again(source: Path, reference: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "store")
    for name in ("audit.json", "audit.parquet", "audit/near-duplicates.json"):
        (tmp_path / "store" / name).unlink()
        run(source, tmp_path / "store")
        assert contents(tmp_path / "store") == contents(reference)


def test_labels_of_rows_are_those_of_their_names(reference: Path) -> None:
    labels = Store.open(reference).labels()
    for key, age, gender in zip(labels.key, labels.age, labels.gender, strict=True):
        first, second = key.split("_")[:2]
        assert (age, gender) == (int(first), 1 - int(second))


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_the_number_of_workers_changes_no_byte(
    source: Path, reference: Path, tmp_path: Path, workers: int | None
) -> None:
    run(source, tmp_path / "store", workers=workers)
    assert contents(tmp_path / "store") == contents(reference)


def test_a_second_call_does_nothing_and_gives_the_same_audit(source: Path, tmp_path: Path) -> None:
    first = run(source, tmp_path / "store")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.*")}
    broken = Tools(TOOLS.detector, TOOLS.aligner, lambda data, name: pytest.fail("decoded again"), "sha")
    assert run(source, tmp_path / "store", tools=broken) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.*")} == before


def test_shards_and_stores_without_a_face_are_no_hindrance(source: Path, tmp_path: Path) -> None:
    blind = Tools(lambda frame, faces: Faces.empty(), align, decode, "sha")
    audit = run(source, tmp_path / "store", tools=blind)
    assert audit["kept"] == 0
    assert not list((tmp_path / "store").glob("shard-*.parquet"))
    opened = Store.open(tmp_path / "store")
    assert len(opened) == len(opened.labels()) == 0


def test_limit_takes_the_first_pictures(source: Path, tmp_path: Path) -> None:
    assert run(source, tmp_path / "store", limit=25)["pictures"] == 25
    names = sorted(path.name for path in source.iterdir())
    assert set(Store.open(tmp_path / "store").labels().key) <= set(names[:25])


def test_stopped_by_ctrl_c_it_ends_soon_and_goes_on_to_the_same_store(
    source: Path, reference: Path, tmp_path: Path
) -> None:
    heard: list[int] = []

    def interrupt(phase: str, done: int, total: int) -> None:
        if phase == "faces" and done == 33:
            raise KeyboardInterrupt
        heard.append(done)

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "store", progress=interrupt)
    assert heard[-1] <= 50 < ENTRIES  # the two shards of ten that were being made come to their end, no others
    run(source, tmp_path / "store")
    assert contents(tmp_path / "store") == contents(reference)


def test_progress_counts_to_the_end_and_from_where_it_was(source: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    run(source, tmp_path / "store", progress=lambda *step: heard.append(step))
    faces = [step[1:] for step in heard if step[0] == "faces"]
    assert faces == [(i, ENTRIES) for i in range(ENTRIES + 1)]
    (tmp_path / "store" / "shard-00003.parquet").unlink()
    (tmp_path / "store" / "shard-00007.parquet").write_bytes(b"short")
    with pytest.raises(FileNotFoundError, match="run the same"):
        Store.open(tmp_path / "store")
    heard.clear()
    run(source, tmp_path / "store", progress=lambda *step: heard.append(step))
    assert heard[0] == ("faces", ENTRIES - 20, ENTRIES)
    assert len([step for step in heard if step[0] == "faces"]) == 21
    assert [step for step in heard if step[0] != "faces"] == [("finishing", 9, 10), ("finishing", 10, 10)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 40}, r"chip_size = 32, not 40"),
        ({"padding": 0.3}, r"chip_padding = 0\.4, not 0\.3"),
        ({"boxes": "detect"}, r"boxes = detect-then-known, not detect"),
        ({"limit": 20}, r"limit = None, not 20"),
        ({"faces": "one"}, r"faces = largest, not one"),
        ({"min_face": 30}, r"min_face = 24, not 30"),
        ({"near_duplicates": 6}, r"near_duplicates = 8, not 6"),
        ({"near_duplicates": None}, r"near_duplicates = 8, not None"),
        ({"detector_upsample": 1}, r"detector_upsample = 0, not 1"),
        ({"tools": Tools(detect, align, decode, "other")}, r"landmarks_sha256 = sha, not other"),
    ],
)
def test_other_settings_on_a_store_are_refused_by_name(
    source: Path, reference: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message + ".*another folder"):
        run(source, reference, **options)


def test_a_changed_source_is_refused(source: Path, reference: Path, tmp_path: Path) -> None:
    other = tmp_path / source.name
    other.mkdir()
    for path in sorted(source.iterdir())[1:]:
        (other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"made from other files than .* holds now"):
        run(other, reference)


def test_wrong_places_and_numbers_are_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"is not empty and holds no store \(letters\.txt is in it\)"):
        run(source, tmp_path)
    with pytest.raises(ValueError, match=r"store lies in the source .*: write to a folder elsewhere"):
        run(source, source / "store")
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run(source, tmp_path / "store", workers=0)
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        run(source, tmp_path / "store", limit=0)
    with pytest.raises(ValueError, match=r"near_duplicates must be in 0\.\.16 bits, got 17"):
        run(source, tmp_path / "store", near_duplicates=17)
    with pytest.raises(ValueError, match="tools can't be sent to the workers of a scheduler"):
        run(source, tmp_path / "store", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="dataset must be one of"):
        preprocess("utkfaces", source, tmp_path / "store", tools=TOOLS)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        run(tmp_path / "nowhere", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_two_at_once_on_one_folder_are_refused(source: Path, tmp_path: Path) -> None:
    with folder_lock(tmp_path / "store"), pytest.raises(OSError, match=r"another process is working on .*store"):
        run(source, tmp_path / "store")
    run(source, tmp_path / "store")


def test_a_full_disk_gives_one_sentence_and_no_broken_shard(
    source: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "store"
    plain = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "shard-00004" in self.name:
            plain(self, data[:100])
            raise OSError(28, "No space left on device", str(self))
        return plain(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(
            OSError, match=r"^the disk of .*store is full: free some space and run the same command again"
        ):
            run(source, out)
    expected = contents(reference)
    assert not list(out.rglob("*.tmp"))
    assert all(expected[path.name] == path.read_bytes() for path in out.glob("shard-*.parquet"))
    run(source, out)
    assert contents(out) == expected


def test_few_shards_are_in_flight_at_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    alive: set[int] = set()
    lock = threading.Lock()
    plain = shards.make_shard

    class Watched(shards.ShardTask):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            with lock:
                alive.add(self.index)
                seen.append(len(alive))

    def make(task: shards.ShardTask, **options: Any) -> shards.MadeShard:
        time.sleep(0.02)
        made = plain(task, **options)
        with lock:
            alive.discard(task.index)
        return made

    monkeypatch.setattr(making, "ShardTask", Watched)
    monkeypatch.setattr(making, "make_shard", make)
    run(source, tmp_path / "store", workers=2)
    assert max(seen) <= 3
