"""The aligned store: a folder of Parquet shards with one aligned face a row, its labels and what a review decided."""

from agegender_train.store.chips import decode_chip, encode_chip
from agegender_train.store.decisions import REVIEW_FILE, Decision, in_force, read_decisions
from agegender_train.store.face_table import FaceTable
from agegender_train.store.labels import Labels
from agegender_train.store.reading import Store
from agegender_train.store.schema import FORMAT, SCHEMA, encode_rows, encode_shard, read_description

__all__ = [
    "FORMAT",
    "REVIEW_FILE",
    "SCHEMA",
    "Decision",
    "FaceTable",
    "Labels",
    "Store",
    "decode_chip",
    "encode_chip",
    "encode_rows",
    "encode_shard",
    "in_force",
    "read_decisions",
    "read_description",
]
