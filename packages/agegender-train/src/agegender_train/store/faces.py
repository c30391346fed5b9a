"""Faces that a review cut out anew, elsewhere in their picture: one small Parquet file each, beside the shards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_core.faces import Faces
from agegender_train.files import write_atomically
from agegender_train.store.chips import encode_chip
from agegender_train.store.decisions import Decision
from agegender_train.store.schema import SCHEMA

FACE_COLUMNS = ("image", "box", "box_from", "score", "landmarks", "phash")
"""The columns of `SCHEMA` that are about the face; the others are about its picture or label."""

_FACE_SCHEMA = pa.schema([SCHEMA.field(name) for name in FACE_COLUMNS])


def face_columns(faces: Faces, row: int, key: str, box_from: str, phash: int) -> dict[str, Any]:
    """`FACE_COLUMNS` of one of `faces`, which have landmarks and chips.

    Args:
        faces: as an aligner leaves them.
        row: which of them.
        key: the picture.
        box_from: what found the face.
        phash: perceptual hash of its chip.
    """
    assert faces.chips is not None
    assert faces.landmarks is not None
    return {
        "image": {"bytes": encode_chip(faces.chips[row]), "path": key},
        "box": faces.xyxy[row].tolist(),
        "box_from": box_from,
        "score": None if faces.score is None else float(faces.score[row]),
        "landmarks": faces.landmarks[row].ravel().tolist(),
        "phash": phash,
    }


def write_face(store: Path, decision: Decision, size: int, padding: float, columns: Mapping[str, Any]) -> None:
    """Keeps the face of a decision with a box.

    Args:
        store: the store's folder.
        decision: which face it stands for, and its box.
        size: side of the store's chips in pixels.
        padding: of the store's chips.
        columns: see `face_columns`.

    Raises:
        OSError: it can't be written.
    """
    file = _file(store, decision, size, padding)
    file.parent.mkdir(exist_ok=True)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(columns)], _FACE_SCHEMA), sink)
    write_atomically(file, sink.getvalue().to_pybytes())


def read_face(store: Path, decision: Decision, size: int, padding: float) -> pa.Table:
    """One row of `FACE_COLUMNS`: what `write_face` kept.

    Raises:
        FileNotFoundError: nothing was kept for this decision and chips of this size.
        OSError: it can't be read.
    """
    file = _file(store, decision, size, padding)
    if not file.exists():
        raise FileNotFoundError(
            f"{store} has a decision for another face of {decision.key}, but not the face itself: {file} is missing; "
            "choose it again with agegender review --source"
        )
    try:
        return pq.read_table(file).cast(_FACE_SCHEMA)
    except (OSError, ValueError) as error:  # Arrow's errors are of both kinds
        raise OSError(f"{file} can't be read: {error}") from error


def _file(store: Path, decision: Decision, size: int, padding: float) -> Path:
    name = repr((decision.key, decision.face, decision.box, size, float(padding)))
    return store / "review" / f"face-{hashlib.sha256(name.encode()).hexdigest()[:16]}.parquet"
