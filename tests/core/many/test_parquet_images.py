"""Parquet files with a column of pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core.many.listing import Part
from agegender_core.many.parquet_images import list_parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, columns: dict[str, tuple[Any, list[Any]]], **options: Any) -> str:
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    pq.write_table(pa.table({name: values for name, (_, values) in columns.items()}, schema), path, **options)
    return str(path)


def read_all(part: Part) -> list[bytes | str]:
    found: list[bytes | str] = []
    reader = part.source.open()
    for key in part.keys:
        try:
            found.append(reader.read(key))
        except OSError as error:
            found.append(str(error))
    reader.close()
    return found


def test_rows_are_read_in_order_and_in_any_other(tmp_path: Path) -> None:
    data = [os.urandom(100) for _ in range(50)]
    rows = [{"bytes": one, "path": "same.jpg"} for one in data]
    name = write(tmp_path / "x.parquet", {"label": (pa.int64(), [1] * 50), "photo": (IMAGE, rows)}, row_group_size=7)
    part = list_parquet("x.parquet", str(tmp_path))
    assert part.keys == range(50)
    assert read_all(part) == data
    assert [part.source.name(key) for key in (0, 49)] == ["x.parquet#0", "x.parquet#49"]
    reader = part.source.open()
    for key in (13, 14, 3, 49, 0, 7):
        assert reader.read(key) == data[key]
    reader.close()
    assert part.source.exists(0)
    os.unlink(name)
    assert not part.source.exists(0)


def test_what_datasets_wrote(tmp_path: Path, astronaut_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    picture = np.zeros((8, 9, 3), np.uint8)
    features = datasets.Features({"photo": datasets.Image(), "mask": {"bytes": datasets.Value("binary")}})
    held = datasets.Dataset.from_dict(
        {
            "photo": [{"bytes": astronaut_path.read_bytes(), "path": None}, picture, None],
            "mask": [{"bytes": b"x"}] * 3,
        },
        features,
    )
    held.to_parquet(tmp_path / "x.parquet")
    found = read_all(list_parquet(str(tmp_path / "x.parquet"), "/"))
    assert found[0] == astronaut_path.read_bytes()
    assert isinstance(found[1], bytes)
    assert found[1].startswith(b"\x89PNG")
    assert found[2] == "its row holds no picture"


def test_what_holds_no_bytes_says_so(tmp_path: Path) -> None:
    rows = [{"bytes": None, "path": "/etc/passwd"}, {"bytes": None, "path": None}, None, {"bytes": b"", "path": "x"}]
    name = write(tmp_path / "x.parquet", {"image": (IMAGE, rows)})
    no = "its row holds no picture"
    assert read_all(list_parquet(name, "/")) == [
        "its row holds the path of a picture, and not its bytes", no, no, b""
    ]  # fmt: skip


def test_a_file_without_pictures_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    def reason(name: str) -> str:
        ((shown, why),) = list_parquet(name, str(tmp_path)).keys
        assert shown == name
        return str(why)

    write(tmp_path / "labels.parquet", {"age": (pa.int64(), [1])})
    assert reason("labels.parquet") == "it has no column of pictures: struct<bytes, path>, as datasets writes them"
    write(tmp_path / "two.parquet", {"left": (IMAGE, [None]), "right": (IMAGE, [None])})
    assert "several columns of pictures, and none is called image: left, right" in reason("two.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "magic bytes" in reason("broken.parquet").lower()
    assert reason("none.parquet") == "No such file or directory"


def test_a_large_row_group_is_read_some_rows_at_a_time(tmp_path: Path) -> None:
    rows = [{"bytes": os.urandom(1 << 20), "path": None} for _ in range(96)]
    name = write(
        tmp_path / "x.parquet", {"image": (IMAGE, rows)}, compression="none", write_batch_size=8, use_dictionary=False
    )
    part = list_parquet(name, "/")
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    reader = part.source.open()
    most = 0
    for key in part.keys:
        assert len(reader.read(key)) == 1 << 20
        most = max(most, pool.bytes_allocated() - before)
    reader.close()
    assert most < 60 << 20
