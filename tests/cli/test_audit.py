from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.audit import audit
from agegender_cli.errors import UserError
from agegender_train.files import write_atomically
from agegender_train.store import Store

MakeStore = Callable[..., Store]

app = typer.Typer()
app.command()(audit)


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if not isinstance(result.exception, UserError | ValueError | OSError):
        assert result.exit_code == code, result.output
    return result


def leave_out(store: Store, *rows: tuple[str, str, str]) -> None:
    columns = zip(("source", "reason", "value"), zip(*rows, strict=True), strict=True)
    pq.write_table(pa.table({name: list(column) for name, column in columns}), store.path / "audit.parquet")


def test_csv_has_a_row_for_each_store(make_store: MakeStore) -> None:
    stores = [make_store("first", n=40, subjects=10, exact=True), make_store("second", n=20)]
    leave_out(stores[0], ("a.jpg", "no face", ""))
    first, second = csv.DictReader(run(*(s.path for s in stores), "--format", "csv").stdout.splitlines())
    assert [first[name] for name in ("name", "faces", "left_out", "female", "male", "subjects")] == [
        *("first", "40", "1", "20", "20", "10")
    ]
    assert (second["name"], second["faces"], second["subjects"]) == ("second", "20", "")


def test_one_store_is_printed_and_its_page_is_written_into_it(make_store: MakeStore) -> None:
    store = make_store("single", n=40, subjects=10, exact=True)
    leave_out(store, ("a.jpg", "no face", ""), ("b.jpg", "no face", ""), ("c.jpg", "odd\nreason", ""))
    result = run(store.path)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1][:2] == ["single", "40"]
    assert lines[1][-3:] == ["20", "20", "10"]
    assert ["single", "no", "face", "2", "5.00%"] in lines
    assert ["single", "odd?reason", "1", "2.50%"] in lines
    assert ["single", "single", "0", "0", "0"] in lines
    assert f"{store.path / 'audit.html'} shows it" in result.stderr
    assert (store.path / "audit.html").exists()
    assert (store.path / "audit" / "ages.png").exists()


@pytest.mark.slow
def test_several_stores_are_compared_and_a_page_is_only_written_when_asked(
    make_store: MakeStore, tmp_path: Path
) -> None:
    stores = [make_store("left", n=20), make_store("right", n=20)]
    result = run(*(store.path for store in stores))
    assert "no page was written: --output DIR says where it goes" in result.stderr
    assert not any((store.path / "audit.html").exists() for store in stores)
    assert ["left", "right", "0", "0", "0"] in [line.split() for line in result.stdout.splitlines()]
    run(*(store.path for store in stores), "--output", tmp_path / "both", "--quiet")
    page = (tmp_path / "both" / "audit.html").read_text()
    assert "<title>Audit of left, right</title>" in page


@pytest.mark.slow
def test_strict_ends_with_1_when_something_is_there_twice(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("twice", n=10)
    assert run(store.path, "--strict").exit_code == 0
    (store.path / "splits").mkdir()
    (store.path / "splits" / "bad.json").write_text("{}")
    result = run(store.path, "--strict", code=1)
    assert "bad.json" in result.stderr


def test_json_is_one_document(make_store: MakeStore) -> None:
    store = make_store("document", n=10)
    report = json.loads(run(store.path, "--format", "json", "--quiet", "--near-duplicates", 0).stdout)
    assert report["stores"][0]["faces"] == 10
    assert report["stores"][0]["genders"] == {"female": 5, "male": 5, "unknown": 0}
    assert report["overlaps"]["clean"] is True
    assert report["overlaps"]["between"][0]["equal_files"] == 0


@pytest.mark.slow
def test_labels_alone_are_shown_beside_a_store(make_store: MakeStore, tmp_path: Path) -> None:
    folder = tmp_path / "wiki-labels"
    folder.mkdir()
    table = {"key": ["a"], "age_low": [20.0], "age_high": [29.0], "gender": [1]}
    pq.write_table(pa.table(table | {name: ["x"] for name in ("group", "subject", "split")}), folder / "labels.parquet")
    write_atomically(folder / "audit.json", {"dataset": "wiki"})
    result = run(folder, make_store("beside", n=6).path, "--output", tmp_path / "page")
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:3]] == [["wiki-labels", "1"], ["beside", "6"]]
    assert "no audit" not in run(folder, "--output", tmp_path / "alone").stderr
    assert (tmp_path / "alone" / "audit.html").exists()


def test_mistakes_get_a_sentence(make_store: MakeStore, tmp_path: Path) -> None:
    store, other = make_store("wrong", n=6), make_store("other", n=6)
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert "isn't what wrong was made of" in str(run(store.path, "--source", tmp_path).exception)
    assert "is of no use without a page" in str(run(store.path, other.path, "--source", tmp_path).exception)
    assert "is given twice" in str(run(store.path, store.path).exception)
    assert "is no folder" in str(run(tmp_path / "absent").exception)


@pytest.mark.parametrize("arguments", [[], ["--format", "jsonl", "x"]])
def test_bad_usage_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.slow
def test_no_page_replaces_what_is_not_ours(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("apart", n=20)
    page = tmp_path / "audit.html"
    page.write_text("<title>My audit</title>")
    error = run(store.path, "--output", tmp_path).exception
    assert str(error) == f"{page} is another page: write to another folder"
    assert page.read_text() == "<title>My audit</title>"
    page.unlink()
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "ages.png").write_bytes(b"mine")
    error = run(store.path, "--output", tmp_path).exception
    assert str(error) == f"{tmp_path / 'audit'} is there, and no audit of ours: write to another folder"
    assert (tmp_path / "audit" / "ages.png").read_bytes() == b"mine"
    for _ in range(2):  # its own page is replaced
        run(store.path, "--output", tmp_path / "new")


def test_the_page_does_not_go_into_the_source_nor_around_it(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store("source", n=20)
    source = tmp_path / "pictures"
    source.mkdir()
    (tmp_path / "link").symlink_to(source)
    for out in (source, source / "report", tmp_path, tmp_path / "link", tmp_path / "link" / "report"):
        error = run(store.path, "--source", source, "--output", out).exception
        assert isinstance(error, ValueError)
        assert str(error).endswith(": write to a folder elsewhere")
    assert not list(source.iterdir())
