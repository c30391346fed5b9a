"""The store's format: the columns of its shards, how rows become a Parquet file, and its description ``store.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMAT = 2


def _schema() -> pa.Schema:
    columns = [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("dataset", pa.string()),
        pa.field("key", pa.string()),
        pa.field("face", pa.int16()),
        pa.field("age_low", pa.float32()),
        pa.field("age_high", pa.float32()),
        pa.field("gender", pa.int8()),
        pa.field("group", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("split", pa.string()),
        pa.field("box", pa.list_(pa.float32(), 4)),
        pa.field("box_from", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("landmarks", pa.list_(pa.float32(), 10)),
        pa.field("picture_width", pa.int32()),
        pa.field("picture_height", pa.int32()),
        pa.field("picture_sha256", pa.string()),
        pa.field("phash", pa.uint64()),
    ]
    features = {"info": {"features": {field.name: _feature(field.type) for field in columns}}}
    return pa.schema(columns, metadata={"huggingface": json.dumps(features)})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """The type as Hugging Face `datasets` calls it, in old and new versions."""
    if pa.types.is_struct(kind):
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    return {"dtype": {"float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


SCHEMA = _schema()
"""The columns of a shard; see `Labels` for the labels.

`key` names the picture in its source, with ``#2`` behind it where a picture has several labelled faces; `face` counts
the faces that were stored for one key from 0. `box` and `landmarks` are in pixels of the whole picture;
`picture_sha256` is over the picture file's bytes, in hex; `phash` is a perceptual hash of the chip.
"""


def encode_shard(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A Parquet file of `rows`, which are mappings with the columns of `SCHEMA`; equal rows give equal bytes."""
    return encode_rows(pa.Table.from_pylist(list(rows), SCHEMA))


def encode_rows(table: pa.Table) -> bytes:
    """A Parquet file of a table with the columns of `SCHEMA`."""
    sink = pa.BufferOutputStream()
    # JPEG doesn't shrink any further, and the other columns of 1000 rows are small.
    with pq.ParquetWriter(sink, SCHEMA, compression="none", use_dictionary=False, write_statistics=False) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_description(path: Path) -> dict[str, Any] | None:
    """The content of a store's ``store.json``, finished or not; ``None`` where there is none.

    Raises:
        ValueError: it is there and no store's.
    """
    file = path / "store.json"
    if not file.exists():
        return None
    try:
        description = json.loads(file.read_bytes())
    except ValueError:
        description = None
    if not isinstance(description, dict) or "format" not in description:
        raise ValueError(f"{file} does not describe an aligned store")
    if description["format"] != FORMAT:
        raise ValueError(f"{path} is a store of format {description['format']}, this version reads format {FORMAT}")
    return description
