from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_train.duplicates.components import connected_components
from agegender_train.files import write_atomically
from agegender_train.splits import (
    HELD_OUT,
    TEST,
    TRAIN,
    VAL,
    SplitSettings,
    assign_folds,
    balance,
    list_splits,
    make_split,
    read_split,
    split_path,
    training_sides,
    write_split,
)
from agegender_train.splits.make import official_side
from agegender_train.store import Store, encode_shard
from agegender_train.store.face_table import FaceTable
from agegender_train.store.labels import Labels

MakeStore = Callable[..., Store]


class FakeStore:
    """What a `FaceTable` asks of a store, with the labels given."""

    def __init__(self, name: str = "fake") -> None:
        self.name, self.path, self.description = name, Path(name), {"dataset": name, "shards": []}
        self.description |= {"chip_size": 1, "chip_padding": 0}


def table(
    subject: list[str | None],
    split: list[str | None] | None = None,
    picture: list[str | None] | None = None,
    gender: list[int | None] | None = None,
    age: list[float | None] | None = None,
    store: list[int] | None = None,
) -> FaceTable:
    n = len(subject)
    labels = Labels.from_columns(
        age_low=age or [30] * n,
        age_high=age or [30] * n,
        gender=gender or [1] * n,
        group=[None] * n,
        subject=subject,
        split=split or [None] * n,
        key=[f"{row}.jpg" for row in range(n)],
    )
    content = np.empty(n, np.object_)
    content[:] = picture or [None] * n
    count = max(store or [0]) + 1
    stores: Any = tuple(FakeStore(f"fake-{number}") for number in range(count))
    return FaceTable(
        stores,
        tuple(store.name for store in stores),
        labels,
        np.array(store or [0] * n, np.int64),
        np.zeros(n, np.int16),
        content,
        np.zeros(n, np.uint64),
        np.zeros(n, bool),
        np.full((n, 4), np.nan, np.float32),
    )


rows = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["0-9 m", "0-9 f", "20s m", "20s f", "?"])), min_size=4)


@settings(deadline=None)
@given(rows, st.integers(2, 6), st.integers(0, 3), st.randoms(use_true_random=False))
def test_folds_hold_what_they_promise_whatever_the_faces(
    faces: list[tuple[int, str]], folds: int, seed: int, chance: Any
) -> None:
    names = [f"{number}.jpg" for number in range(len(faces))]
    people = [person if person < 8 else 100 + row for row, (person, _) in enumerate(faces)]
    kinds = [tuple(kind.split()) + ("",) * (1 - kind.count(" ")) for _, kind in faces]
    components = connected_components(len(faces), [people])
    if len(set(people)) < folds:
        with pytest.raises(ValueError, match=r"folds must be at most \d+, the number of independent groups"):
            assign_folds(names, components, kinds, folds, seed)
        return
    result = assign_folds(names, components, kinds, folds, seed)
    assert result.dtype == np.int16
    assert set(result.tolist()) == set(range(folds)), "a fold is empty"
    where = {}
    for person, fold in zip(people, result.tolist(), strict=True):
        assert where.setdefault(person, fold) == fold, "a person is on two sides"
    sizes = Counter(result.tolist()).values()
    assert max(sizes) - min(sizes) <= max(Counter(people).values())
    order = list(range(len(faces)))
    chance.shuffle(order)
    shuffled = assign_folds(
        [names[row] for row in order],
        connected_components(len(order), [[people[row] for row in order]]),
        [kinds[row] for row in order],
        folds,
        seed,
    )
    assert shuffled.tolist() == result[order].tolist(), "the order of the rows matters"


def test_single_faces_are_spread_to_within_one_by_kind_and_in_all() -> None:
    kinds = [(kind,) for kind, count in (("a", 103), ("b", 57), ("c", 8), ("d", 1)) for _ in range(count)]
    result = assign_folds([str(row) for row in range(len(kinds))], np.arange(len(kinds)), kinds, 10, 5)
    assert sorted(Counter(result.tolist()).values()) == [16, 17, 17, 17, 17, 17, 17, 17, 17, 17]
    for kind in "abcd":
        counts = np.bincount(result[np.array(kinds)[:, 0] == kind], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_a_fixed_input_gives_the_same_folds_on_every_machine() -> None:
    names = [f"Renée {row % 7}/{row}.jpg" for row in range(500)]
    components = connected_components(500, [[row * row % 211 for row in range(500)]])
    kinds = [(row % 9 * 10, row % 2) for row in range(500)]
    result = assign_folds(names, components, kinds, 10, 1)
    assert hashlib.sha256(",".join(map(str, result.tolist())).encode()).hexdigest() == GOLDEN


GOLDEN = "d952fb22b922e26e5a4dcad28b69f6da69a04cb0c8f15e46cc5c98eb6f354b32"


def test_another_seed_gives_other_folds() -> None:
    names, kinds = [str(row) for row in range(100)], [("a",)] * 100
    first, second = (assign_folds(names, np.arange(100), kinds, 5, seed) for seed in (1, 2))
    assert (first != second).sum() > 50


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"names must all differ, got 'a' more than once"):
        assign_folds(["a", "a", "b"], np.arange(3), [(0,)] * 3, 2)
    with pytest.raises(ValueError, match=r"components and strata must have 2 values as names, got 3, 2"):
        assign_folds(["a", "b"], np.arange(3), [(0,)] * 2, 2)
    with pytest.raises(ValueError, match=r"folds must be at least 2, got 1"):
        assign_folds(["a", "b"], np.arange(2), [(0,)] * 2, 1)
    for wrong, message in (
        ({"folds": 1}, r"folds must be in 2..1000, got 1"),
        ({"by": "name"}, r"by must be one of subject, picture, got 'name'"),
        ({"stratify": ("hair",)}, r"stratify must be some of age, gender, group, dataset, got 'hair'"),
    ):
        with pytest.raises(ValueError, match=message):
            SplitSettings(**wrong)  # type: ignore[arg-type]


def test_people_pictures_and_copies_stay_together_over_several_steps() -> None:
    faces = table(
        ["ann", "bob", "ann", None, None, None, None, None],
        picture=["p0", "p1", "p2", "p1", "p4", "p5", "p6", "p6"],
    )
    sides = make_split(faces, [(2, 4)], SplitSettings(folds=3)).sides
    assert sides[0] == sides[2] == sides[4]
    assert sides[1] == sides[3]
    assert sides[6] == sides[7]
    by_picture = make_split(faces, [], SplitSettings(folds=5, by="picture"))
    assert len(np.unique(by_picture.components)) == 6


def test_the_same_name_in_two_datasets_is_two_people_and_the_same_file_is_one_picture() -> None:
    faces = table(["001", "001", None, None], picture=["a", "b", "c", "c"], store=[0, 1, 0, 1])
    components = make_split(faces, [], SplitSettings(folds=2)).components
    assert components.tolist() == [0, 1, 2, 2]


def test_val_and_test_are_held_out_of_folds_with_all_that_belongs_to_them() -> None:
    faces = table(
        ["a", "a", "b", "c", "d", "e", "f"],
        split=["train", "val", "train", "test", None, "train", "weekday"],
        picture=["0", "1", "2", "3", "4", "5", "6"],
    )
    split = make_split(faces, [(3, 5)], SplitSettings(folds=3))
    assert (split.sides == HELD_OUT).tolist() == [True, True, False, True, False, True, False]
    assert split.leaking.tolist() == [True, False, False, False, False, True, False]
    assert sorted(split.sides[split.sides >= 0]) == [0, 1, 2]


def test_nothing_but_test_faces_leaves_nothing_to_fold() -> None:
    with pytest.raises(ValueError, match="no face is left for the folds"):
        make_split(table(["a", "b"], split=["val", "test"]), [], SplitSettings(folds=2))


def test_official_splits_are_taken_as_they_are_and_leaks_are_told() -> None:
    fairface = table(["a", "b", "b", None], split=["train", "train", "val", None])
    split = make_split(fairface, [], SplitSettings(official=True))
    assert split.sides.tolist() == [TRAIN, TRAIN, VAL, HELD_OUT]
    assert split.leaking.tolist() == [False, True, True, False]
    adience = table(["a", "b", "c"], split=["fold-0", "fold-4", "fold-2"])
    assert make_split(adience, [], SplitSettings(official=True)).sides.tolist() == [0, 4, 2]
    with pytest.raises(ValueError, match=r"the store fake-0 has no official split"):
        make_split(table(["a"]), [], SplitSettings(official=True))
    with pytest.raises(ValueError, match=r"must be train, val, test or fold-0, fold-1, ..., got 'weekday'"):
        make_split(table(["a"], split=["Weekday"]), [], SplitSettings(official=True))


def test_words_for_official_sides() -> None:
    words = {"train": TRAIN, "Training": TRAIN, "valid": VAL, " val ": VAL, "test": TEST, "fold_3": 3, "fold 12": 12}
    assert {word: official_side(word) for word in words} == words


def test_balance_tells_what_is_on_each_side() -> None:
    faces = table(
        ["a", "b", "c", None],
        split=["train", "train", "val", None],
        gender=[1, 0, None, 1],
        age=[5, 75, None, 30],
    )
    parts = balance(make_split(faces, [], SplitSettings(official=True)))
    assert [part["fold"] for part in parts] == ["held-out", "train", "val", "all"]
    found = {part["fold"]: part for part in parts}
    assert found["train"] == {
        "fold": "train",
        "n": 2,
        "groups": 2,
        "subjects": 2,
        "male": 0.5,
        "age": 40.0,
        "bands": {"0-9": 0.5, "10-19": 0, "20-29": 0, "30-39": 0, "40-49": 0, "50-59": 0, "60-69": 0, "70+": 0.5},
    }
    assert found["val"]["male"] is None
    assert found["val"]["age"] is None
    assert found["val"]["bands"] is None
    assert found["all"]["n"] == 3
    assert found["held-out"]["subjects"] is None


def test_a_split_is_written_and_read_again(make_store: MakeStore) -> None:
    store = make_store("split", n=60, subjects=20)
    split = make_split(FaceTable.read([store]), [], SplitSettings(folds=5))
    (path,) = write_split(split, "five")
    assert path == split_path(store.path, "five")
    assert list_splits(store) == ["five"]
    np.testing.assert_array_equal(read_split(store, "five"), split.sides)
    first = path.read_bytes(), path.with_suffix(".json").read_bytes()
    write_split(make_split(FaceTable.read([Store.open(store.path)]), [], SplitSettings(folds=5)), "five")
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == first
    assert first[0].startswith(b"key,face,fold\n0.jpg,0,")
    assert len(first[0].splitlines()) == 61


def test_another_split_of_that_name_is_only_replaced_when_asked(make_store: MakeStore) -> None:
    store = make_store("replace", n=20)
    faces = FaceTable.read([store])
    write_split(make_split(faces, [], SplitSettings(folds=2)), "mine")
    other = make_split(faces, [], SplitSettings(folds=4))
    with pytest.raises(FileExistsError, match=r"mine.csv is another split: give another name, or replace it"):
        write_split(other, "mine")
    write_split(other, "mine", replace=True)
    np.testing.assert_array_equal(read_split(store, "mine"), other.sides)


def test_a_split_of_several_stores_is_read_from_each(make_store: MakeStore) -> None:
    stores = [make_store("left", n=20), make_store("right", n=14, exact=True)]
    split = make_split(FaceTable.read(stores), [], SplitSettings(folds=3))
    write_split(split, "both")
    np.testing.assert_array_equal(np.concatenate([read_split(store, "both") for store in stores]), split.sides)
    swapped = make_split(FaceTable.read(stores[::-1]), [], SplitSettings(folds=3))
    np.testing.assert_array_equal(np.concatenate([swapped.sides[14:], swapped.sides[:14]]), split.sides)


def test_training_takes_its_sides_from_a_split(make_store: MakeStore) -> None:
    stores = [make_store("left", n=20, subjects=5), make_store("right", n=14)]
    split = make_split(FaceTable.read(stores), [], SplitSettings(folds=3))
    write_split(split, "three")
    seen = np.zeros(34, int)
    for fold in range(3):
        trained, held = training_sides(stores, "three", fold)
        assert held.any()
        np.testing.assert_array_equal(trained, ~held)
        seen += held
    assert seen.tolist() == [1] * 34
    for fold, message in ((None, r"fold must say on which of the folds of three to validate \(0 to 2\)"), (3, "got 3")):
        with pytest.raises(ValueError, match=message):
            training_sides(stores, "three", fold)
    with pytest.raises(FileNotFoundError, match="has no split 'ten'"):
        training_sides(stores, "ten", 0)


def test_official_sides_train_and_validate_and_test_faces_do_neither(make_store: MakeStore) -> None:
    store = make_store("official", n=6)
    sides = np.array([TRAIN, TRAIN, VAL, TEST, TRAIN, VAL], np.int16)
    split = replace(make_split(FaceTable.read([store]), [], SplitSettings(folds=2)), sides=sides)
    write_split(split, "official")
    trained, held = training_sides([store], "official", None)
    assert np.flatnonzero(trained).tolist() == [0, 1, 4]
    assert np.flatnonzero(held).tolist() == [2, 5]
    with pytest.raises(ValueError, match=r"fold must be one of those of official \(none\), got 0"):
        training_sides([store], "official", 0)


def test_a_split_that_no_longer_fits_is_refused(make_store: MakeStore) -> None:
    store, other = make_store("fits", n=20), make_store("fits", n=21)
    write_split(make_split(FaceTable.read([store]), [], SplitSettings(folds=2)), "mine")
    with pytest.raises(FileNotFoundError, match=r"has no split 'yours' \(there is: mine\)"):
        read_split(store, "yours")
    with pytest.raises(ValueError, match=r"name must be of letters"):
        read_split(store, "../mine")
    folder = split_path(other.path, "mine").parent
    folder.mkdir()
    for file in ("mine.csv", "mine.json"):
        (folder / file).write_bytes((store.path / "splits" / file).read_bytes())
    with pytest.raises(ValueError, match=r"the split mine was made for other faces than .* --name mine --replace"):
        read_split(other, "mine")
    path = split_path(store.path, "mine")
    path.write_bytes(path.read_bytes().replace(b",0\n", b",1\n"))
    with pytest.raises(ValueError, match=r"mine.csv is gone or was changed since it was made"):
        read_split(store, "mine")
    path.unlink()
    with pytest.raises(ValueError, match=r"mine.csv is gone or was changed since it was made"):
        read_split(store, "mine")
    path.with_suffix(".json").write_text("[]")
    with pytest.raises(ValueError, match=r"mine.json is no split of format 1"):
        read_split(store, "mine")
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ValueError, match=r"mine.json is damaged"):
        read_split(store, "mine")


def test_a_store_given_twice_is_refused(make_store: MakeStore) -> None:
    store = make_store("twice", n=8)
    with pytest.raises(ValueError, match=r"is given twice"):
        FaceTable.read([store, Store.open(store.path)])
    with pytest.raises(ValueError, match=r"at least one store, got none"):
        FaceTable.read([])


def test_a_split_outlives_a_review(make_store: MakeStore) -> None:
    store = make_store("reviewed", n=20)
    split = make_split(FaceTable.read([store]), [], SplitSettings(folds=2))
    write_split(split, "before")
    log = store.path / "review.csv"
    log.write_text("time,key,face,action,age_low,age_high,gender\n,3.jpg,0,reject,,,\n,4.jpg,0,correct,7,7,\n")
    reviewed = Store.open(store.path)
    assert len(reviewed) == 19
    np.testing.assert_array_equal(read_split(reviewed, "before"), np.delete(split.sides, 3))
    write_split(make_split(FaceTable.read([reviewed]), [], SplitSettings(folds=2)), "after")
    log.unlink()
    with pytest.raises(ValueError, match=r"the split after doesn't know 3.jpg of"):
        read_split(Store.open(store.path), "after")


@pytest.mark.parametrize("key", ['a,"b".jpg', "line\nbreak\r.jpg", " space .jpg ", "Зоя/日本.jpg", "-1"])
def test_any_name_of_a_picture_comes_back(key: str, tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": b"", "path": key}, "dataset": "odd", "key": name, "face": face}
        for name, face in ((key, 0), (key, 1), ("other.jpg", 0), ("third.jpg", 0))
    ]
    content = encode_shard(rows)
    write_atomically(tmp_path / "shard-00000.parquet", content)
    shard = {"name": "shard-00000.parquet", "rows": 4, "bytes": len(content), "sha256": "0"}
    about = {"format": 2, "complete": True, "dataset": "odd", "chip_size": 72, "chip_padding": 0.4, "shards": [shard]}
    write_atomically(tmp_path / "store.json", about)
    store = Store.open(tmp_path)
    split = make_split(FaceTable.read([store]), [], SplitSettings(folds=2, stratify=()))
    assert split.sides[0] == split.sides[1], "two faces of one picture are on two sides"
    write_split(split, "odd")
    assert read_split(store, "odd").tolist() == split.sides.tolist()
