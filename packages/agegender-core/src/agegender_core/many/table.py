"""The table of faces as Parquet: one row a face, one for a picture without, and pictures of the faces if wanted."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_core.faces import Frame
from agegender_core.records import plain_text

PICTURE_COLUMNS = ("source", "error", "width", "height")
FACE_COLUMNS = (
    *("left", "top", "right", "bottom", "score", "age", "age_std", "gender", "p_male"),
    *("age_interval_low", "age_interval_high", "quality"),
)
IMAGE = "image"
"""The column with the face, cut out and upright."""

_TEXTS = ("source", "error", "gender")
_INTEGERS = ("width", "height")
_ROWS_A_GROUP, _IMAGES_A_GROUP = 50_000, 1_000
_KEY = b"agegender"


def schema(images: bool) -> pa.Schema:
    """The columns, with what tells Hugging Face ``datasets`` which of them holds pictures."""
    kinds: dict[str, pa.DataType] = {}
    for name in (*PICTURE_COLUMNS, *FACE_COLUMNS):
        kinds[name] = pa.string() if name in _TEXTS else pa.int32() if name in _INTEGERS else pa.float64()
    features: dict[str, Any] = {
        name: {"dtype": "float64" if kind == pa.float64() else str(kind), "_type": "Value"}
        for name, kind in kinds.items()
    }
    if images:
        kinds[IMAGE] = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        features[IMAGE] = {"_type": "Image"}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(list(kinds.items()), metadata=about)


def encode_face(chip: Frame) -> bytes:
    """An aligned face, uint8 RGB (S, S, 3), as a JPEG of quality 95 with colour at full resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a face of shape {chip.shape} can't be encoded")
    return data.tobytes()


def encode_rows(rows: Iterable[Mapping[str, Any]], images: bool, about: Mapping[str, Any]) -> bytes:
    """Rows of pictures as a Parquet file; equal rows give equal bytes.

    Args:
        rows: as `empty_row` says; a face may have its JPEG under "image".
        images: whether there is a column of pictures.
        about: what the file says of itself, see `read_about`.
    """
    columns = schema(images)
    flat = [line for row in rows for line in _lines(row, images)]
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, _with_about(columns, about)) as writer:
        writer.write_table(pa.Table.from_pylist(flat, columns).cast(_with_about(columns, about)))
    return buffer.getvalue()


def _lines(row: Mapping[str, Any], images: bool) -> Iterator[dict[str, Any]]:
    picture = {name: row[name] for name in PICTURE_COLUMNS}
    picture["source"] = plain_text(picture["source"])
    picture["error"] = None if picture["error"] is None else plain_text(picture["error"])
    if not row["faces"]:
        yield picture
    for number, face in enumerate(row["faces"]):
        low, high = face["age_interval"] or (None, None)
        edges = dict(zip(("left", "top", "right", "bottom"), face["box"], strict=True))
        line = {**picture, **edges, **face, "age_interval_low": low, "age_interval_high": high}
        if images:
            line[IMAGE] = {"bytes": face[IMAGE], "path": f"{picture['source']}-{number}.jpg"}
        yield line


def read_about(source: Path | bytes) -> dict[str, Any] | None:
    """What `encode_rows` or `join` wrote of a file; ``None`` for other files, and for what is no Parquet file."""
    try:
        found = pq.read_schema(pa.BufferReader(source) if isinstance(source, bytes) else source).metadata or {}
        about = json.loads(found.get(_KEY, b"null"))
    except (OSError, ValueError, pa.ArrowException):
        return None
    return about if isinstance(about, dict) else None


def join(parts: Sequence[Path], target: Path, images: bool, about: Mapping[str, Any]) -> None:
    """Writes the rows of several files into one, some thousand at a time, in order.

    Raises:
        OSError: one can't be read, or `target` can't be written.
    """
    columns = _with_about(schema(images), about)
    most = _IMAGES_A_GROUP if images else _ROWS_A_GROUP
    waiting: list[pa.Table] = []
    # PyArrow takes no name that is not UTF-8.
    with target.open("wb") as file, pq.ParquetWriter(file, columns) as writer:
        try:
            for path in parts:
                with path.open("rb") as part:
                    waiting.append(pq.read_table(part).cast(columns))
                if sum(len(table) for table in waiting) >= most:
                    writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=most)
                    waiting.clear()
            if waiting:
                writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=most)
        except pa.ArrowException as error:
            raise OSError(f"a part can't be read: {error}") from None


def _with_about(columns: pa.Schema, about: Mapping[str, Any]) -> pa.Schema:
    return columns.with_metadata({**columns.metadata, _KEY: json.dumps(about)})
