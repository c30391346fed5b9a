from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_train.audit import Overlaps, find_overlaps
from agegender_train.duplicates.agreement import Label, find_conflict
from agegender_train.duplicates.copies import exact_copies, find_copies
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.files import write_atomically
from agegender_train.splits import SplitSettings, make_split, write_split
from agegender_train.store import Store, encode_chip, encode_shard
from agegender_train.store.face_table import FaceTable, store_names

BOX = [10.0, 10.0, 110.0, 110.0]


def store_of(folder: Path, rows: Sequence[dict[str, Any]], dataset: str | None = None) -> Store:
    """A store with these rows, as `preprocess` would leave it."""
    name = dataset or folder.name
    folder.mkdir(parents=True)
    full = [
        {
            "image": {"bytes": row.get("jpeg", b""), "path": ""},
            "dataset": name,
            "key": f"{number}.jpg",
            "face": 0,
            "box": BOX,
            **{column: value for column, value in row.items() if column != "jpeg"},
        }
        for number, row in enumerate(rows)
    ]
    content = encode_shard(full)
    write_atomically(folder / "shard-00000.parquet", content)
    shard = {"name": "shard-00000.parquet", "rows": len(full), "bytes": len(content)}
    shard["sha256"] = hashlib.sha256(content).hexdigest()
    about = {"format": 2, "complete": True, "dataset": name, "chip_size": 140, "chip_padding": 0.4, "shards": [shard]}
    write_atomically(folder / "store.json", about)
    return Store.open(folder)


def face(
    content: str, age: float = 30, gender: int | None = 1, high: float | None = None, **more: Any
) -> dict[str, Any]:
    high = age if high is None else high
    return {"picture_sha256": content, "age_low": age, "age_high": high, "gender": gender, **more}


def overlaps_of(*stores: Store) -> Overlaps:
    return find_overlaps(FaceTable.read(stores), None)


def test_equal_files_are_found_within_and_across_stores(tmp_path: Path) -> None:
    a = store_of(tmp_path / "a", [face("x"), face("y"), face("x", age=31)])
    b = store_of(tmp_path / "b", [face("z"), face("y", gender=0), face("x")])
    found = overlaps_of(a, b)
    assert [(copy.first, copy.second) for copy in found.copies] == [(0, 2), (0, 5), (1, 4), (2, 5)]
    assert all(copy.exact for copy in found.copies)
    assert [(copy.first, copy.second, how) for copy, how in found.conflicts] == [
        (0, 2, "age"),
        (1, 4, "gender"),
        (2, 5, "age"),
    ]
    assert found.between() == [
        {"first": "a", "second": "a", "equal_files": 1, "look_alike": 0, "conflicting_labels": 1},
        {"first": "a", "second": "b", "equal_files": 3, "look_alike": 0, "conflicting_labels": 2},
        {"first": "b", "second": "b", "equal_files": 0, "look_alike": 0, "conflicting_labels": 0},
    ]
    assert not found.is_clean
    lines = list(csv.reader(found.to_csv().decode().splitlines()))
    assert lines[0][:5] == ["kind", "conflict", "store_1", "key_1", "face_1"]
    assert lines[1] == ["equal files", "age", "a", "0.jpg", "0", "30 m", "", "a", "2.jpg", "0", "31 m", ""]
    assert len(lines) == 5


def test_several_faces_of_one_picture_are_no_copies(tmp_path: Path) -> None:
    other = [200.0, 10.0, 300.0, 110.0]
    rows = [
        face("x", key="p.jpg"),
        face("x", key="p.jpg", face=1, box=other),
        face("x", key="p.jpg#2", box=other),
    ]
    a = store_of(tmp_path / "a", rows[:2])
    assert exact_copies(FaceTable.read([a])) == []
    b = store_of(tmp_path / "b", [rows[0], rows[2]])
    assert exact_copies(FaceTable.read([b])) == []
    across = [(copy.first, copy.second) for copy in exact_copies(FaceTable.read([a, b]))]
    assert across == [(0, 2), (1, 3)], "the same face of the same picture, and no other"


def test_a_picture_that_is_there_a_thousand_times_makes_no_million_pairs(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", [face("x")] * 1000)
    assert len(exact_copies(FaceTable.read([store]))) == 999


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ((30, 30, 1), (30, 30, 1), ""),
        ((20, 29, 1), (24, 24, 1), ""),
        ((20, 29, 1), (29, 35, 1), ""),
        ((20, 29, 1), (30, 39, 1), "age"),
        ((30, 30, 1), (30, 30, 0), "gender"),
        ((30, 30, 1), (31, 31, 0), "age and gender"),
        ((None, None, None), (31, 31, 0), ""),
    ],
)
def test_labels_conflict_only_where_both_cannot_be_true(
    first: tuple[Any, ...], second: tuple[Any, ...], how: str, tmp_path: Path
) -> None:
    rows = [face("x", low, gender, high) for low, high, gender in (first, second)]
    table = FaceTable.read([store_of(tmp_path / "a", rows)])
    labels = [Label.of(table.labels, row) for row in (0, 1)]
    assert find_conflict(labels) == find_conflict(labels[::-1]) == how
    assert labels == [Label(*first), Label(*second)]
    assert [found for _, found in find_overlaps(table, None).conflicts] == ([how] if how else [])


def test_people_and_pictures_on_two_sides_of_official_splits(tmp_path: Path) -> None:
    train = store_of(
        tmp_path / "train",
        [face("1", subject="ann", split="train"), face("2", subject="bob", split="train"), face("3", split="train")],
        dataset="faces",
    )
    val = store_of(
        tmp_path / "val",
        [face("4", subject="ann", split="val"), face("3", split="val"), face("5", subject="bob")],
        dataset="faces",
    )
    other = store_of(tmp_path / "other", [face("6", subject="ann", split="test"), face("1", split="fold-1")])
    found = overlaps_of(train, val, other)
    parts, folds = found.splits
    assert parts.name == "official train, val, test"
    assert parts.stores == ("faces (train)", "faces (val)", "other")
    assert len(parts.sides) == 6
    assert parts.people == {("faces", "ann"): ["train", "val"]}, "ann of another dataset is somebody else"
    assert parts.pictures == {2: ["train", "val"]}
    assert [(copy.first, copy.second) for copy in parts.copies] == [(2, 4)]
    assert folds.name == "official, of other"
    assert folds.is_clean
    figures = found.figures()
    assert figures["clean"] is False
    assert figures["splits"][0]["people_on_two_sides"] == [
        {"dataset": "faces", "subject": "ann", "sides": ["train", "val"]}
    ]
    assert figures["splits"][0]["pictures_on_two_sides"][0]["key"] == "2.jpg"


def test_our_own_folds_are_clean_and_by_picture_they_are_not(tmp_path: Path) -> None:
    rows = [face(f"{i % 25}", subject=f"s{i % 5}") for i in range(30)]
    store = store_of(tmp_path / "a", rows)
    table = FaceTable.read([store])
    copies = [(copy.first, copy.second) for copy in find_copies(table, None)]
    write_split(make_split(table, copies, SplitSettings(folds=5)), "good")
    write_split(make_split(table, copies, SplitSettings(folds=5, by="picture")), "leaky")
    good, leaky = overlaps_of(store).splits
    assert (good.name, good.is_clean) == ("good", True)
    assert (leaky.name, leaky.is_clean) == ("leaky", False)
    assert set(leaky.people) == {("a", f"s{i}") for i in range(5)}
    assert leaky.pictures == {}


def test_a_split_that_no_longer_fits_is_told(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", [face(f"{i}") for i in range(10)])
    (path,) = write_split(make_split(FaceTable.read([store]), [], SplitSettings(folds=2)), "mine")
    assert overlaps_of(store).is_clean
    path.write_text("key,face,fold\n")
    found = overlaps_of(store)
    assert found.splits == []
    assert found.notes == [f"{path} is gone or was changed since it was made: make the split again"]
    assert not found.is_clean


def test_stores_get_different_names(tmp_path: Path) -> None:
    def store(path: str, dataset: str) -> Store:
        return store_of(tmp_path / path, [], dataset)

    stores = [store("a", "x"), store("b", "x"), store("c", "y"), store("d/b", "z"), store("e/b", "z")]
    assert store_names(stores) == ["x (a)", "x (b)", "y", str(tmp_path / "d/b"), str(tmp_path / "e/b")]


def picture(seed: int) -> np.ndarray:
    """A face-like blob with fine detail of its own."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (140, 140), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.integers(0, 90, (70, 70, 3), np.uint8), (140, 140), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse.astype(int) + fine - 45, 0, 255).astype(np.uint8)


def test_pictures_that_look_alike_are_found_across_stores(tmp_path: Path) -> None:
    def shown(chip: np.ndarray, content: str, **more: Any) -> dict[str, Any]:
        return face(content, jpeg=encode_chip(chip), phash=perceptual_hash(chip), **more)

    chips = [picture(seed) for seed in range(12)]
    brighter = np.clip(chips[3].astype(int) + 12, 0, 255).astype(np.uint8)
    small = cv2.resize(cv2.resize(chips[7], (100, 100), interpolation=cv2.INTER_AREA), (140, 140))
    a = store_of(tmp_path / "a", [shown(chip, f"a{i}") for i, chip in enumerate(chips[:8])])
    b = store_of(
        tmp_path / "b",
        [shown(brighter, "b0", gender=0), shown(chips[9], "b1"), shown(np.asarray(small, np.uint8), "b2")],
    )
    phases: list[tuple[str, int, int]] = []
    table = FaceTable.read([a, b])
    copies = find_copies(table, 10, lambda *now: phases.append(now))
    assert [(copy.first, copy.second, copy.exact) for copy in copies] == [(3, 8, False), (7, 10, False)]
    assert find_copies(table, None) == []
    assert {phase for phase, _, _ in phases} == {"near-duplicates", "comparing"}
    assert all(0 <= done <= total for _, done, total in phases)
    found = find_overlaps(table, 10)
    assert found.between()[1] == {
        "first": "a",
        "second": "b",
        "equal_files": 0,
        "look_alike": 2,
        "conflicting_labels": 1,
    }
