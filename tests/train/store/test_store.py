from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.face_set import FaceSet
from agegender_train.evaluation import evaluate
from agegender_train.files import write_atomically
from agegender_train.store import FORMAT, Decision, Store, chips, decode_chip, encode_chip, encode_shard
from agegender_train.store.decisions import DecisionLog

GENDERS = (1, 0, None)


def chip(i: int, size: int = 24) -> np.ndarray:
    """A smooth picture with red, green and blue apart from each other."""
    ramp = np.linspace(0, 1, size)
    return (np.stack([ramp * 40 * i, np.full(size, 100), 255 - ramp * 200], -1)[None] * np.ones((size, 1, 1))).astype(
        np.uint8
    )


def row(i: int) -> dict[str, Any]:
    return {
        "image": {"bytes": encode_chip(chip(i)), "path": f"{i}.jpg"},
        "dataset": "test",
        "key": f"{i}.jpg",
        "age_low": None if i == 4 else 10.0 * i,
        "age_high": None if i == 4 else 10.0 * i + 9,
        "gender": GENDERS[i % 3],
        "group": None,
        "subject": "anna" if i else None,
        "split": "train",
        "box": [1.0, 2.0, 3.0, 4.0],
        "box_from": "known",
        "score": None,
        "landmarks": [float(k) for k in range(10)],
        "picture_width": 640,
        "picture_height": 480,
    }


def make_store(folder: Path, *, complete: bool = True) -> Path:
    folder.mkdir()
    shards = []
    for name, rows in (
        ("shard-00000.parquet", [0, 1, 2]),
        ("shard-00001.parquet", [3]),
        ("shard-00002.parquet", [4]),
    ):
        content = encode_shard([row(i) for i in rows])
        write_atomically(folder / name, content)
        digest = hashlib.sha256(content).hexdigest()
        shards.append({"name": name, "rows": len(rows), "bytes": len(content), "sha256": digest})
    description = {"format": FORMAT, "complete": complete, "dataset": "test", "chip_size": 24, "chip_padding": 0.4}
    write_atomically(folder / "store.json", description | {"shards": shards})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store")


def test_what_was_written_is_read(folder: Path) -> None:
    store = Store.open(folder)
    assert (len(store), store.name, store.chip_size, store.chip_padding) == (5, "test", 24, 0.4)
    assert "5 faces of test" in repr(store)
    labels = store.labels()
    assert labels.key.tolist() == [f"{i}.jpg" for i in range(5)]
    np.testing.assert_array_equal(labels.age_low, np.float32([0, 10, 20, 30, np.nan]))
    assert labels.gender.tolist() == [1, 0, -1, 1, 0]
    assert labels.subject.tolist() == [None, "anna", "anna", "anna", "anna"]
    table = store.columns("box", "landmarks", "score", "picture_width")
    assert table["box"].to_pylist() == [[1, 2, 3, 4]] * 5
    assert table["landmarks"].to_pylist()[2] == list(range(10))
    assert table["score"].null_count == 5


def test_chips_come_back_in_rgb_by_index_or_mask(folder: Path) -> None:
    store = Store.open(folder)
    decoded = store.decode([4, 0, 3])
    assert decoded.shape == (3, 24, 24, 3)
    assert decoded.dtype == np.uint8
    for found, i in zip(decoded, (4, 0, 3), strict=True):
        assert np.abs(found.astype(int) - chip(i)).max() <= 3
    np.testing.assert_array_equal(store.decode(np.arange(5) % 2 == 1), store.decode([1, 3]))
    assert store.decode([]).shape == (0, 24, 24, 3)
    assert list(store.iter_encoded()) == list(store.encoded())
    with pytest.raises(IndexError):
        store.decode([5])


def test_chips_are_decoded_into_the_callers_memory(folder: Path) -> None:
    store, batch = Store.open(folder), np.zeros((6, 24, 24, 3), np.uint8)
    found = store.decode([3, 0, 3], out=batch[2:5])
    assert np.shares_memory(found, batch)
    np.testing.assert_array_equal(batch[2:5], store.decode([3, 0, 3]))
    assert not batch[:2].any()
    assert not batch[5].any()
    for wrong in (batch[:2], batch[:3, :12], batch[:3].astype(np.float32)):
        with pytest.raises(ValueError, match=r"out must be uint8 of shape \(3, 24, 24, 3\)"):
            store.decode([3, 0, 3], out=wrong)


def test_any_row_is_read_without_keeping_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = list(Store.open(folder).iter_encoded())
    read: list[Path] = []
    plain = chips.read_images
    monkeypatch.setattr(chips, "read_images", lambda file: (read.append(file), plain(file))[1])
    monkeypatch.setattr(chips, "_OPEN_FILES", 1)
    encoded = Store.open(folder).encoded()
    assert len(encoded) == 5
    with ThreadPoolExecutor(8) as executor:
        rows = [4, 0, 3, 1, 2, 2, 0, 4] * 20
        assert list(executor.map(encoded.__getitem__, rows)) == [pictures[row] for row in rows]
    assert encoded[1:4] == pictures[1:4]
    assert sorted(read) == Store.open(folder).shards  # each once
    assert len(encoded._open) == 1
    assert sum(places.offsets.nbytes + places.sizes.nbytes for places in encoded._places.values()) == 5 * 12
    assert all(places.kept is None for places in encoded._places.values())
    for row in (-1, 5):
        with pytest.raises(IndexError, match=r"row must be in 0\.\.4"):
            encoded[row]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"compression": "zstd", "use_dictionary": False}, True),
        ({"compression": "none", "use_dictionary": ["image.bytes"]}, False),
        ({"compression": "none", "use_dictionary": False, "data_page_size": 1, "write_batch_size": 1}, False),
        ({"compression": "none", "use_dictionary": False, "data_page_version": "2.0"}, False),
    ],
)
def test_rows_are_found_however_the_shard_was_written(folder: Path, options: dict[str, Any], kept: bool) -> None:
    store = Store.open(folder)
    pictures, shard = list(store.iter_encoded()), store.shards[0]
    pq.write_table(pq.read_table(shard), shard, **options)
    assert list(store.encoded()) == pictures
    assert (store.encoded()._places[0].kept is not None) == kept


def test_a_shard_that_was_cut_off_is_named(folder: Path) -> None:
    encoded, (_, second, third) = Store.open(folder).encoded(), Store.open(folder).shards
    assert encoded[3]
    os.truncate(second, 10)  # after its places were found
    os.truncate(third, 10)
    with pytest.raises(OSError, match=r"shard-00001\.parquet can't be read: it ends .* bytes before it should"):
        encoded[3]
    with pytest.raises(OSError, match=r"shard-00002\.parquet can't be read: "):
        encoded[4]


def test_chips_are_jpeg_with_full_colour() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode_chip(noise)
    assert data.startswith(b"\xff\xd8")
    frame_header = data.index(b"\xff\xc0")
    sampling = [data[frame_header + 11 + 3 * i] for i in range(3)]
    assert sampling == [0x11, 0x11, 0x11]
    error = np.abs(decode_chip(data).astype(int) - noise)
    assert error.mean() < 4
    for broken in (b"", b"no picture"):
        with pytest.raises(ValueError, match="a picture of the store: can't be decoded"):
            decode_chip(broken)


def test_equal_rows_give_equal_bytes_and_the_fingerprint_tells_others(tmp_path: Path, folder: Path) -> None:
    twin = make_store(tmp_path / "twin")
    assert Store.open(twin).fingerprint == Store.open(folder).fingerprint
    for shard, other in zip(Store.open(twin).shards, Store.open(folder).shards, strict=True):
        assert shard.read_bytes() == other.read_bytes()
    description = json.loads((twin / "store.json").read_text())
    description["shards"][0]["sha256"] = "0" * 64
    write_atomically(twin / "store.json", description)
    assert Store.open(twin).fingerprint != Store.open(folder).fingerprint


def test_what_is_no_finished_store_is_refused_with_a_way_out(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing is no folder.*agegender preprocess"):
        Store.open(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty is no aligned store: it has no store\.json"):
        Store.open(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"half is not finished; run the same agegender preprocess command again"):
        Store.open(make_store(tmp_path / "half", complete=False))
    Store.open(folder).shards[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-00002\.parquet is missing or changed"):
        Store.open(folder)
    for text, message in (("{", "does not describe"), ("[]", "does not describe"), ('{"format": 1}', "of format 1")):
        (folder / "store.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            Store.open(folder)


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a.json", {"old": 1})
    plain = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        plain(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a.json", {"new": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"old": 1}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_hugging_face_datasets_shows_the_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    files = str(folder / "*.parquet")
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"), split="train")
    assert len(found) == 5
    assert isinstance(found.features["image"], datasets.Image)
    picture = found[3]["image"]
    assert (picture.size, picture.mode) == ((24, 24), "RGB")
    ours = Store.open(folder).decode([3])[0]
    assert np.abs(np.asarray(picture).astype(int) - ours).max() <= 2
    assert found[1]["box"] == [1, 2, 3, 4]
    assert found[4]["age_low"] is None


def test_cv2_agrees_on_the_colour_order() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    bgr = cv2.imdecode(np.frombuffer(encode_chip(red), np.uint8), cv2.IMREAD_COLOR)
    assert bgr[8, 8] == pytest.approx((0, 0, 255), abs=2)


@pytest.fixture
def reviewed(folder: Path) -> Path:
    """Row 1 rejected; row 2 made 35 years and female; row 3 female; row 4 accepted; and no row of the store."""
    DecisionLog(folder / "review.csv").append(
        [
            Decision("1.jpg", 0, "reject"),
            Decision("2.jpg", 0, "reject"),
            Decision("2.jpg", 0, "correct", 35, 35, 0),
            Decision("3.jpg", 0, "correct", gender=0),
            Decision("0.jpg", 0, "reject"),
            Decision("0.jpg", 0, "undo"),
            Decision("4.jpg", 0, "accept"),
            Decision("4.jpg", 1, "reject"),
            Decision("gone.jpg", 0, "reject"),
        ]
    )
    return folder


def test_a_store_is_as_its_review_left_it(reviewed: Path) -> None:
    store, raw = Store.open(reviewed), Store.open(reviewed, review=False)
    assert (len(store), len(raw)) == (4, 5)
    assert store.reviewed == {"rejected": 1, "corrected": 2}
    assert raw.reviewed == {"rejected": 0, "corrected": 0}
    labels = store.labels()
    assert labels.key.tolist() == ["0.jpg", "2.jpg", "3.jpg", "4.jpg"]
    np.testing.assert_array_equal(labels.age_low, np.float32([0, 35, 30, np.nan]))
    np.testing.assert_array_equal(labels.age_high, np.float32([9, 35, 39, np.nan]))
    assert labels.gender.tolist() == [1, 0, 0, 0]
    assert raw.labels().gender.tolist() == [1, 0, -1, 1, 0]
    table = store.columns("gender", "key", "picture_width")
    assert table.column_names == ["gender", "key", "picture_width"]
    assert table["key"].to_pylist() == labels.key.tolist()
    assert table.schema == raw.columns("gender", "key", "picture_width").schema
    assert store.columns("picture_width").num_rows == 4
    kept = [0, 2, 3, 4]
    assert list(store.encoded()) == [raw.encoded()[row] for row in kept]
    assert list(store.iter_encoded()) == list(store.encoded())
    np.testing.assert_array_equal(store.decode([3, 1]), raw.decode([4, 2]))
    np.testing.assert_array_equal(store.decode(np.array([False, True, False, False])), raw.decode([2]))
    with pytest.raises(IndexError):
        store.decode([4])


def test_the_fingerprint_follows_the_decisions_in_force(folder: Path) -> None:
    raw = Store.open(folder, review=False).fingerprint
    log, seen = DecisionLog(folder / "review.csv"), [raw]

    def decide(*values: Any) -> str:
        log.append([Decision(*values)])
        assert Store.open(folder, review=False).fingerprint == raw
        return Store.open(folder).fingerprint

    assert decide("0.jpg", 0, "accept") == raw
    for values in (("0.jpg", 0, "reject"), ("1.jpg", 0, "correct", 3, 3), ("1.jpg", 0, "correct", 3, 3, 1)):
        seen.append(decide(*values))
    assert len(set(seen)) == 4
    assert decide("1.jpg", 0, "correct", 3.0, 3.0, 1) == seen[-1]
    for before in (seen[3], seen[2], seen[1]):
        assert decide("1.jpg", 0, "undo") == before
    assert decide("0.jpg", 0, "undo") == raw


class _Echo:
    """Predicts everybody 30 years old and male, and remembers the chips."""

    name = "echo"
    spec = PreprocessSpec(input_size=24, chip_size=24, chip_padding=0.4)

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        self.seen += list(chips)
        same = np.ones(len(chips), np.float32)
        return Prediction(same * 30, same, same)


def test_training_and_evaluation_apply_a_review(reviewed: Path) -> None:
    store, raw = Store.open(reviewed), Store.open(reviewed, review=False)
    faces = FaceSet([store, raw])
    assert len(faces) == 9
    assert faces.labels.gender[:4].tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(faces.chips(np.arange(4)), raw.decode([0, 2, 3, 4]))
    model = _Echo()
    evaluation = evaluate(model, store, batch_size=3)
    np.testing.assert_array_equal(np.stack(model.seen), raw.decode([0, 2, 3, 4]))
    assert evaluation.metrics["n"] == 4
    assert evaluation.metrics["gender_accuracy"] == pytest.approx(1 / 4)
    assert evaluation.metrics["age_mae"] == pytest.approx(5)  # the one known age, 35, is the corrected one
    assert evaluate(_Echo(), raw).metrics["gender_accuracy"] == pytest.approx(2 / 4)


def test_a_broken_review_is_named(folder: Path) -> None:
    (folder / "review.csv").write_text("time,key,face,action,age_low,age_high,gender\n,0.jpg,0,burn,,,\n")
    with pytest.raises(ValueError, match=r"review\.csv, line 2: action must be one of"):
        Store.open(folder)
    assert len(Store.open(folder, review=False)) == 5


def test_everything_may_be_rejected(folder: Path) -> None:
    DecisionLog(folder / "review.csv").append([Decision(f"{i}.jpg", 0, "reject") for i in range(5)])
    store = Store.open(folder)
    assert (len(store), len(store.labels()), store.columns("key").num_rows) == (0, 0, 0)
    assert list(store.iter_encoded()) == []
    assert store.decode([]).shape == (0, 24, 24, 3)
