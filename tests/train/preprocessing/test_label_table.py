from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agegender_train.preprocessing.label_table import LABEL_COLUMNS, write_label_table
from agegender_train.store import SCHEMA

TABLE = """path,age,gender,subject,split
a.jpg,20-29,m,Ann,train
b.jpg,35,f,,val
c.jpg,101,f,,
d.jpg,x,f,,
e.jpg,,,,
f.jpg,,m,,
"""


def make_source(folder: Path) -> Path:
    folder.mkdir()
    (folder / "faces.csv").write_text(TABLE)
    return folder


def test_labels_go_into_one_table_and_the_rest_into_the_audit(tmp_path: Path) -> None:
    out = tmp_path / "new" / "labels"
    audit = write_label_table("csv", make_source(tmp_path / "in"), out)
    assert audit == json.loads((out / "audit.json").read_bytes())
    assert audit == {
        "dataset": "csv",
        "rows": 6,
        "kept": 3,
        "rejected": {"age out of range": 1, "label not understood": 1, "neither age nor gender": 1},
        "per_gender": {"female": 1, "male": 2},
        "per_split": {"": 1, "train": 1, "val": 1},
        "per_age_group": {"20-29": 1, "known": 1, "missing": 1},
        "notes": [],
        "warnings": [
            """1 of 6 rows (33.3% of what was left out) are lost to one label: an age must look like "35", "3-9", """
            """"(25, 32)" or "more than 70", got 'x'""",
        ],
    }
    labels = pq.read_table(out / "labels.parquet")
    assert labels.schema.names == list(LABEL_COLUMNS)
    assert all(labels.schema.field(name).type == SCHEMA.field(name).type for name in LABEL_COLUMNS)
    assert labels.to_pylist()[0] == {
        "key": "a.jpg",
        "age_low": 20,
        "age_high": 29,
        "gender": 1,
        "group": None,
        "subject": "Ann",
        "split": "train",
    }
    assert labels["key"].to_pylist() == ["a.jpg", "b.jpg", "f.jpg"]
    rejected = pq.read_table(out / "audit.parquet")
    assert rejected.to_pylist() == [
        {"dataset": "csv", "source": "c.jpg", "reason": "age out of range", "value": "101 to 101"},
        {
            "dataset": "csv",
            "source": "d.jpg",
            "reason": "label not understood",
            "value": """an age must look like "35", "3-9", "(25, 32)" or "more than 70", got 'x'""",
        },
        {"dataset": "csv", "source": "e.jpg", "reason": "neither age nor gender", "value": ""},
    ]


def test_twice_gives_the_same_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    source, out = make_source(tmp_path / "in"), tmp_path / "out"
    write_label_table("csv", source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_label_table("csv", [source], out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert {name for name in before if not name.startswith(".")} == {"labels.parquet", "audit.parquet", "audit.json"}


def test_a_store_is_not_overwritten(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a store"):
        write_label_table("csv", source, tmp_path / "store")
    with pytest.raises(ValueError, match="dataset must be one of"):
        write_label_table("other", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_source_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "wiki.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"wiki\.mat is no MAT 5 file"):
        write_label_table("wiki", tmp_path / "wiki.mat", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_real_labels_of_wiki_and_adience(shared_data: Path, tmp_path: Path) -> None:
    audit = write_label_table("wiki", shared_data / "labels" / "wiki" / "wiki.mat", tmp_path / "wiki")
    assert (audit["rows"], audit["kept"]) == (62_328, 39_399)
    assert audit["rejected"] == {
        "age out of range": 1698,
        "no face score": 16380,
        "no gender": 761,
        "second face score": 4090,
    }
    assert len(pq.read_table(tmp_path / "wiki" / "labels.parquet")) == 39_399
    assert len(pq.read_table(tmp_path / "wiki" / "audit.parquet")) == 62_328 - 39_399

    folder = shared_data / "labels" / "adience"
    audit = write_label_table("adience", folder, tmp_path / "adience")
    lines = [
        line["age"]
        for number in range(5)
        for line in csv.DictReader((folder / f"fold_{number}_data.txt").read_text().splitlines(), delimiter="\t")
    ]
    assert audit["rows"] == len(lines) == 19_370
    assert audit["rejected"] == {"age missing": lines.count("None")} == {"age missing": 748}
    assert audit["per_age_group"] == {
        "0-2": 2488,
        "4-6": 2140,
        "8-12": 2125,
        "15-20": 1642,
        "25-32": 5081,
        "38-43": 2345,
        "48-53": 830,
        "60-100": 872,
        "known": 1099,
    }
