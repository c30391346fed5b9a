"""The aligned store: a folder of Parquet shards with one aligned face a row."""

from agegender_train.store.chips import decode_chip, encode_chip
from agegender_train.store.files import read_description, write_atomically
from agegender_train.store.reading import Store
from agegender_train.store.schema import FORMAT, SCHEMA, encode_rows, encode_shard

__all__ = [
    "FORMAT",
    "SCHEMA",
    "Store",
    "decode_chip",
    "encode_chip",
    "encode_rows",
    "encode_shard",
    "read_description",
    "write_atomically",
]
