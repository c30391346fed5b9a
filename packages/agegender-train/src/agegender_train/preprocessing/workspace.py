"""Where the shards of an unfinished store are, and what of them is done whenever the process was ended.

A shard is made into the folder ``.work`` and, once it is known which of its rows are left out, finished into the store.
Each step writes the file that says so last, and every file is there as a whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.datasets import Rejection
from agegender_train.duplicates.near_duplicates import Dropped
from agegender_train.files import write_atomically
from agegender_train.preprocessing.parts import part_name, part_of, shard_name
from agegender_train.preprocessing.shards import MadeShard
from agegender_train.store import encode_rows


class Workspace:
    """The shards of the store in the folder `out`, made and finished."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.scratch = out / ".work"
        """For what is thrown away at the end."""

    def prepare(self) -> None:
        """Makes the folders."""
        (self.out / "audit").mkdir(exist_ok=True)
        self.scratch.mkdir(exist_ok=True)

    def clear(self) -> None:
        """Throws away what isn't part of a finished store."""
        if self.scratch.exists():
            shutil.rmtree(self.scratch)

    def is_finished(self, index: int) -> bool:
        """Whether a shard is in the store, with its audit."""
        return _is_whole(self.out / "audit" / part_name(index), self.out / shard_name(index))

    def is_made(self, index: int) -> bool:
        """Whether a shard waits to be finished."""
        return _is_whole(self.scratch / part_name(index), self.scratch / shard_name(index))

    def keep(self, made: MadeShard) -> None:
        """Writes a shard that is made.

        Raises:
            OSError: it can't be written.
        """
        if made.content:
            write_atomically(self.scratch / shard_name(made.index), made.content)
        write_atomically(self.scratch / part_name(made.index), made.part)

    def rows(self, index: int, columns: Sequence[str]) -> pa.Table | None:
        """Columns of a shard that is made and not finished; ``None`` for one without rows."""
        path = self.scratch / shard_name(index)
        return pq.read_table(path, columns=list(columns)) if path.exists() else None

    def finish(self, index: int, dropped: Sequence[Dropped], place: Callable[[str], int]) -> None:
        """Moves a shard that is made into the store, without the rows that are left out.

        Args:
            index: number of the shard.
            dropped: the rows to leave out.
            place: gives the place of an entry, by its key, in the reader's order.

        Raises:
            OSError: it can't be written.
        """
        made, final = self.scratch / shard_name(index), self.out / shard_name(index)
        part = json.loads((self.scratch / part_name(index)).read_bytes())
        content = None
        if dropped:
            content, part = _without(pq.read_table(made), part, index, dropped, place)
        write_atomically(self.out / "audit" / part_name(index), part)
        if content is None and part["kept"]:
            made.replace(final)
        elif content:
            write_atomically(final, content)
        made.unlink(missing_ok=True)

    def parts(self, count: int) -> Iterator[dict[str, Any]]:
        """The audits of all shards of a store, in their order."""
        for index in range(count):
            yield json.loads((self.out / "audit" / part_name(index)).read_bytes())


def _is_whole(part: Path, shard: Path) -> bool:
    if not part.exists():
        return False
    about = json.loads(part.read_bytes())["shard"]
    return about["rows"] == 0 or (shard.exists() and shard.stat().st_size == about["bytes"])


def _without(
    table: pa.Table,
    part: Mapping[str, Any],
    index: int,
    dropped: Sequence[Dropped],
    place: Callable[[str], int],
) -> tuple[bytes, dict[str, Any]]:
    reasons = {(row.key, row.face): row for row in dropped}
    names = list(zip(table["key"].to_pylist(), table["face"].to_pylist(), strict=True))
    table = table.filter(pa.array([name not in reasons for name in names]))
    left = set(table["key"].to_pylist())
    rejected = {key: Rejection(key, reason, value) for key, reason, value in part["rows"]}
    for row in dropped:  # an entry of which another face is left is in the store
        if row.key not in left:
            rejected.setdefault(row.key, Rejection(row.key, row.reason, row.value))
    content = encode_rows(table) if len(table) else b""
    rows = table.select(["key", "box_from", "split"]).to_pylist()
    in_order = sorted(rejected.values(), key=lambda rejection: place(rejection.key))
    return content, part_of(index, part["pictures"], part["faces"], rows, in_order, content)
