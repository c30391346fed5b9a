"""The aligned store: a folder of Parquet shards with one aligned face a row."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.labels import Labels

FORMAT = 1
_LABELS = ("age_low", "age_high", "gender", "group", "subject", "split", "key")


def _schema() -> pa.Schema:
    columns = [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("dataset", pa.string()),
        pa.field("key", pa.string()),
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
    ]
    features = {"info": {"features": {field.name: _feature(field.type) for field in columns}}}
    return pa.schema(columns, metadata={"huggingface": json.dumps(features)})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """The type in the words of Hugging Face `datasets`, old and new."""
    if pa.types.is_struct(kind):
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    return {"dtype": {"float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


SCHEMA = _schema()
"""The columns of a shard. Boxes and landmarks are in pixels of the whole picture; see `Labels` for the labels."""


def encode_shard(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A Parquet file of `rows`, which are mappings with the columns of `SCHEMA`; equal rows give equal bytes."""
    sink = pa.BufferOutputStream()
    # JPEG doesn't shrink any further, and 1000 rows of the rest are no matter.
    with pq.ParquetWriter(sink, SCHEMA, compression="none", use_dictionary=False, write_statistics=False) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), SCHEMA))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def write_atomically(path: Path, content: bytes | Mapping[str, Any]) -> None:
    """Writes a file, a mapping as JSON, so that at any moment it is there as a whole or not at all.

    Raises:
        OSError: it couldn't be written; nothing of it is left.
    """
    if not isinstance(content, bytes):
        content = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    temporary = path.with_name(f".{path.name}.tmp")  # one name a file: what a killed process leaves is used again
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


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


class Store:
    """A finished store, opened for reading; rows are counted through all shards. See `Store.open`."""

    def __init__(self, path: Path, description: Mapping[str, Any]) -> None:
        self.path = path
        self.description = description
        self.name = str(description["dataset"])
        """Name of the dataset."""
        self.chip_size = int(description["chip_size"])
        """Side of a chip in pixels."""
        self.chip_padding = float(description["chip_padding"])
        """Margin round the face, as a part of the face's side."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store in the folder `path`, as `preprocess` left it.

        Raises:
            FileNotFoundError: there is no such folder, or a shard is gone.
            ValueError: the folder is no store, or one that `preprocess` hasn't finished.
        """
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder; a store is made with: agegender preprocess")
        description = read_description(path)
        if description is None:
            raise ValueError(f"{path} is no aligned store: it has no store.json; make one with: agegender preprocess")
        if not description["complete"]:
            raise ValueError(f"{path} is not finished; run the same agegender preprocess command again to go on")
        for shard in description["shards"]:
            file = path / shard["name"]
            if not file.exists() or file.stat().st_size != shard["bytes"]:
                raise FileNotFoundError(
                    f"{file} is missing or changed; run the same agegender preprocess command again"
                )
        return cls(path, description)

    def __len__(self) -> int:
        return sum(shard["rows"] for shard in self.description["shards"])

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} faces of {self.name}, {self.chip_size} px)"

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the name of the dataset and the contents of all shards."""
        hashes = [self.name, *(shard["sha256"] for shard in self.description["shards"])]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    @property
    def shards(self) -> list[Path]:
        """The Parquet files, in the order of the rows."""
        return [self.path / shard["name"] for shard in self.description["shards"]]

    def columns(self, *names: str) -> pa.Table:
        """Some columns of all rows, as an Arrow table; see `SCHEMA`."""
        empty = SCHEMA.empty_table().select(names)
        return pa.concat_tables([empty, *(pq.read_table(shard, columns=list(names)) for shard in self.shards)])

    def labels(self) -> Labels:
        """The labels of all rows."""
        return Labels.from_columns(**self.columns(*_LABELS).to_pydict())

    def iter_encoded(self) -> Iterator[bytes]:
        """The JPEG of every row, in their order, holding one shard in memory at a time."""
        for shard in self.shards:
            yield from _image_bytes(pq.read_table(shard, columns=["image"]))

    def encoded(self) -> Sequence[bytes]:
        """The JPEGs of all rows, in memory from the first call on (some 8 kB a face)."""
        return self._encoded

    @cached_property
    def _encoded(self) -> list[bytes]:
        return list(self.iter_encoded())

    def decode(self, rows: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """The chips of some rows (indices, or a mask over all): uint8 (n, S, S, 3), RGB.

        Raises:
            IndexError: a row is out of range.
            ValueError: a picture in the store is damaged.
        """
        picked = np.asarray(rows)
        picked = np.flatnonzero(picked) if picked.dtype == np.bool_ else picked.astype(np.int64)
        chips = np.empty((len(picked), self.chip_size, self.chip_size, 3), np.uint8)
        for chip, row in zip(chips, picked, strict=True):
            chip[:] = decode_chip(self._encoded[row])
        return chips


def _image_bytes(table: pa.Table) -> list[bytes]:
    return [data for chunk in table["image"].chunks for data in chunk.field("bytes").to_pylist()]


def encode_chip(chip: npt.NDArray[np.uint8]) -> bytes:
    """A chip, uint8 (S, S, 3) RGB, as a JPEG of quality 95 with colour at full resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"chip of shape {chip.shape} can't be encoded")
    return bytes(data)


def decode_chip(data: bytes) -> npt.NDArray[np.uint8]:
    """The chip of `encode_chip`: uint8 (S, S, 3) RGB.

    Raises:
        ValueError: `data` is no JPEG.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise ValueError("a picture of the store can't be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
