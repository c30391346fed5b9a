from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.split import split
from agegender_train.files import write_atomically
from agegender_train.splits import read_split
from agegender_train.store import SCHEMA, Store, encode_shard

MakeStore = Callable[..., Store]

app = typer.Typer()
app.command()(split)


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if not isinstance(result.exception, UserError | ValueError | OSError):
        assert result.exit_code == code, result.output
    return result


def test_folds_are_written_and_their_balance_is_printed(make_store: MakeStore) -> None:
    store = make_store("folds", n=90, subjects=30)
    result = run(store.path, "--folds", 3)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:6] == ["fold", "n", "people", "groups", "male", "age"]
    assert [line[0] for line in lines[1:]] == ["0", "1", "2", "all"]
    assert lines[4][1:4] == ["90", "30", "30"]
    assert "written: " in result.stderr
    assert (store.path / "splits" / "folds-3.csv").exists()
    assert (store.path / "splits" / "folds-3.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(set(read_split(store, "folds-3").tolist())) == [0, 1, 2]


def test_the_balance_as_csv_has_a_row_for_each_fold(make_store: MakeStore) -> None:
    result = run(make_store("as-csv", n=40, exact=True).path, "--folds", 4, "--format", "csv", "--quiet")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["fold"], row["n"]) for row in rows] == [*((str(fold), "10") for fold in range(4)), ("all", "40")]
    assert float(rows[-1]["0-9"]) >= 0


def test_the_balance_as_json_is_one_document(make_store: MakeStore) -> None:
    store = make_store("as-json", n=40)
    result = run(store.path, "--folds", 4, "--format", "json", "--quiet", "--name", "mine")
    report = json.loads(result.stdout)
    assert report["name"] == "mine"
    assert report["files"] == [str(store.path / "splits" / "mine.csv")]
    assert [part["n"] for part in report["balance"]] == [10, 10, 10, 10, 40]
    assert report["notes"] == ["of 40 faces nobody knows who it is: only copies of one picture are kept together there"]
    assert result.stderr == ""


def with_official(store: Store, splits: list[str | None]) -> Path:
    """The store with these official splits in the place of its own."""
    rows = [{**row, "split": split} for row, split in zip(store.columns(*NAMES).to_pylist(), splits, strict=True)]
    content = encode_shard(rows)
    write_atomically(store.shards[0], content)
    shard = {**store.description["shards"][0], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(store.path / "store.json", {**store.description, "shards": [shard]})
    return store.path


NAMES = [field.name for field in SCHEMA if field.name != "split"]


def test_official_splits_are_taken_when_asked_and_held_out_when_not(make_store: MakeStore) -> None:
    splits = ["train"] * 20 + ["val"] * 9 + [None]
    path = with_official(make_store("official", n=30, subjects=25), splits)
    result = run(path, "--official")
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["held-out", "1"],
        ["train", "20"],
        ["val", "9"],
        ["all", "29"],
    ]
    # Of 25 people the first five have a second picture, among the last five.
    assert "8 faces with a person or a picture of another official side" in result.stderr
    assert "1 face without an official side: held out" in result.stderr
    assert read_split(Store.open(path), "official").tolist() == [-2] * 20 + [-3] * 9 + [-1]
    result = run(path, "--folds", 4)
    assert "13 faces held out: 9 of an official val or test split, 4 with a person" in result.stderr
    sides = read_split(Store.open(path), "folds-4")
    assert (sides[20:29] == -1).all()
    assert (sides[4:20] >= 0).all()


def test_official_folds_and_strange_words_are_told(make_store: MakeStore) -> None:
    path = with_official(make_store("adience", n=20), [f"fold-{i % 5}" for i in range(20)])
    assert "has official folds (fold-0, ...), which published figures use" in run(path, "--folds", 2).stderr
    run(path, "--official")
    assert read_split(Store.open(path), "official").tolist() == [0, 1, 2, 3, 4] * 4
    path = with_official(make_store("strange", n=10), ["monday"] * 10)
    assert "the split 'monday' is none of train, val, test and fold-N" in run(path, "--folds", 2).stderr
    assert "got 'monday'" in str(run(path, "--official").exception)


def test_several_stores_are_split_as_one(make_store: MakeStore) -> None:
    stores = [make_store("one", n=20), make_store("two", n=30)]
    result = run(*(store.path for store in stores), "--folds", 5, "--stratify", "age,gender,dataset", "--seed", 7)
    assert result.stdout.splitlines()[-1].split()[:2] == ["all", "50"]
    assert [len(read_split(store, "folds-5")) for store in stores] == [20, 30]


def test_mistakes_get_a_sentence(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("mistakes", n=20)
    assert "exclude each other" in str(run(store.path, "--official", "--folds", 5).exception)
    assert "has no official split" in str(run(store.path, "--official").exception)
    assert "stratify must be some of" in str(run(store.path, "--stratify", "age,hair").exception)
    assert "folds must be at most 20" in str(run(store.path, "--folds", 30).exception)
    assert "is no folder" in str(run(tmp_path / "absent").exception)
    run(store.path, "--folds", 2, "--name", "x")
    result = run(store.path, "--folds", 4, "--name", "x")
    assert isinstance(result.exception, UserError)
    assert "is another split" in str(result.exception)
    run(store.path, "--folds", 4, "--name", "x", "--replace")


@pytest.mark.parametrize("bits", ["-1", "17"])
def test_bits_out_of_range_are_refused(make_store: MakeStore, bits: str) -> None:
    assert CliRunner().invoke(app, [str(make_store("bits", n=8).path), "--near-duplicates", bits]).exit_code == 2


@pytest.mark.parametrize("name", ["mine.csv", "mine.json", "mine.png"])
def test_no_other_file_is_replaced(make_store: MakeStore, name: str) -> None:
    store = make_store(f"other-{name}", n=40)
    (store.path / "splits").mkdir()
    (store.path / "splits" / name).write_text("mine")
    error = run(store.path, "--folds", 2, "--name", "mine").exception
    assert isinstance(error, UserError)
    assert str(error).startswith(str(store.path / "splits" / name))
    assert [path.name for path in (store.path / "splits").iterdir()] == [name]
    assert (store.path / "splits" / name).read_text() == "mine"
