from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.split import split
from agegender_train.splits import read_split
from agegender_train.store import Store

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


def test_the_balance_as_json_is_one_document(make_store: MakeStore) -> None:
    store = make_store("as-json", n=40)
    result = run(store.path, "--folds", 4, "--format", "json", "--quiet", "--name", "mine")
    report = json.loads(result.stdout)
    assert report["name"] == "mine"
    assert report["files"] == [str(store.path / "splits" / "mine.csv")]
    assert [part["n"] for part in report["balance"]] == [10, 10, 10, 10, 40]
    assert report["notes"] == ["of 40 faces nobody knows who it is: only copies of one picture are kept together there"]
    assert result.stderr == ""


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
