"""The folder of a store that is being made: its description, its shards, and the last step that completes it.

A shard is made into the folder ``.work`` and, once it is known which of its rows are dropped, finished into the store.
Each step writes the file that records it last, and every file is there as a whole or not at all: whenever the process
ends, the same call goes on from there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train import __version__
from agegender_train.datasets import Rejection
from agegender_train.datasets.archives import FileTree
from agegender_train.duplicates.near_duplicates import Dropped
from agegender_train.files import write_atomically
from agegender_train.preprocessing.losses import notes_of
from agegender_train.preprocessing.pictures import PreprocessSettings, Tools
from agegender_train.preprocessing.shards import MadeShard, merge_parts, part_name, part_of, shard_name
from agegender_train.store import FORMAT, encode_rows, read_description

AUDIT_SCHEMA = pa.schema([(name, pa.string()) for name in ("dataset", "source", "reason", "value")])
"""The columns of ``audit.parquet``: a row for each entry of the reader that isn't in the store, in the reader's order.

`source` is the entry's key; `reason` is one of few short phrases; `value` is the detail of this one.
"""

_ROWS_AT_ONCE = 100_000
_SETTINGS = ("boxes", "detector", "faces", "min_face", "near_duplicates")


def describe(
    settings: PreprocessSettings, tools: Tools, paths: Sequence[Path], files: FileTree, near_duplicates: int | None
) -> dict[str, Any]:
    """The description (``store.json``) of a store to be made."""
    return {
        "format": FORMAT,
        "complete": False,
        "dataset": settings.dataset,
        "chip_size": settings.chip_size,
        "chip_padding": settings.chip_padding,
        "boxes": settings.boxes,
        "detector": settings.detector,
        "detector_sha256": tools.detector_sha256,
        "detector_upsample": settings.detector_upsample,
        "faces": settings.faces,
        "min_face": settings.min_face,
        "near_duplicates": near_duplicates,
        "landmarks_sha256": tools.landmarks_sha256,
        "version": __version__,
        "source": {
            "name": ", ".join(path.resolve().name for path in paths),
            "files": len(files),
            "sha256": files.signature(),
        },
    }


def begin(out: Path, wanted: dict[str, Any]) -> bool:
    """Writes the description of a new store or compares it with the one there; true if the store is finished.

    Raises:
        ValueError: the folder holds something else.
    """
    found = read_description(out)
    if found is None:
        hidden = {".work"} if (out / ".work").exists() else set()
        if strangers := sorted(hidden | {path.name for path in out.iterdir() if not path.name.startswith(".")}):
            raise ValueError(f"{out} is not empty and holds no store ({strangers[0]} is in it): give another folder")
        write_atomically(out / "store.json", wanted)
        return False
    differing = [name for name, value in wanted.items() if name != "complete" and found.get(name) != value]
    if differing and found["complete"] and not found["shards"]:  # nothing was kept: no loss, and a mistake to mend
        _remove(out)
        write_atomically(out / "store.json", wanted)
        return False
    for name, value in wanted.items():
        if name in differing:
            if name == "source":
                raise ValueError(f"{out} was made from other files than {value['name']} holds now: give another folder")
            raise ValueError(
                f"{out} was made with {name} = {found.get(name)}, not {value}: give the same again, or another folder"
            )
    return bool(found["complete"])


def _remove(out: Path) -> None:
    """Removes a store without faces, whose folder may hold nothing else of value."""
    shutil.rmtree(out / "audit", ignore_errors=True)
    for name in ("audit.html", "audit.json", "audit.parquet", "store.json"):
        (out / name).unlink(missing_ok=True)


class Workspace:
    """The shards of the store in the folder `out`: unmade, made, or finished."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.scratch = out / ".work"
        """For files that are removed at the end."""

    def prepare(self) -> None:
        """Makes the folders."""
        (self.out / "audit").mkdir(exist_ok=True)
        self.scratch.mkdir(exist_ok=True)

    def clear(self) -> None:
        """Removes what isn't part of a finished store."""
        if self.scratch.exists():
            shutil.rmtree(self.scratch)

    def is_finished(self, index: int) -> bool:
        """Whether a shard is in the store, with its audit."""
        return _is_whole(self.out / "audit" / part_name(index), self.out / shard_name(index))

    def is_made(self, index: int) -> bool:
        """Whether a shard is made and waits to be finished."""
        return _is_whole(self.scratch / part_name(index), self.scratch / shard_name(index))

    def keep(self, made: MadeShard) -> None:
        """Writes a shard that was made.

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
        """Moves a made shard into the store, without the rows to drop.

        Args:
            index: number of the shard.
            dropped: the rows to drop.
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
    for row in dropped:  # an entry with another face left is in the store
        if row.key not in left:
            rejected.setdefault(row.key, Rejection(row.key, row.reason, row.value))
    content = encode_rows(table) if len(table) else b""
    rows = table.select(["key", "box_from", "split"]).to_pylist()
    in_order = sorted(rejected.values(), key=lambda rejection: place(rejection.key))
    return content, part_of(index, part["pictures"], part["faces"], rows, in_order, content)


def finish(
    workspace: Workspace, description: Mapping[str, Any], count: int, files: FileTree, warnings: Sequence[str]
) -> None:
    """Writes ``audit.parquet`` and ``audit.json``, and in ``store.json`` that the store is complete.

    Args:
        workspace: its shards are finished.
        description: of the store.
        count: how many shards there are.
        files: the source, with what its reader noticed.
        warnings: see `find_losses`.

    Raises:
        RuntimeError: an entry of the reader is neither in the store nor in the audit, or in both.
        OSError: they can't be written.
    """
    out = workspace.out
    counts = merge_parts(workspace.parts(count))
    rejected = sum(counts["rejected"].values())
    if not counts["pictures"] == description["pictures"] == counts["pictures_kept"] + rejected:
        raise RuntimeError(
            f"{out}: of {description['pictures']} pictures {counts['pictures_kept']} were kept and {rejected} "
            "rejected; delete the store and make it again"
        )
    share = {source: round(rows / counts["kept"], 6) for source, rows in counts["box_from"].items()}
    settings = {"faces_policy" if name == "faces" else name: description[name] for name in _SETTINGS}
    audit = {
        "dataset": description["dataset"],
        **settings,
        **counts,
        "box_from_share": share,
        "shadowed": files.shadowed,
    }
    audit |= {"notes": notes_of(files), "warnings": list(warnings)}
    rejections = (Rejection(*row) for part in workspace.parts(count) for row in part["rows"])
    write_rejections(out / "audit.parquet", description["dataset"], rejections)
    write_atomically(out / "audit.json", audit)
    shards = [part["shard"] for part in workspace.parts(count) if part["kept"]]
    workspace.clear()
    # The last step: from here on the store can be opened.
    write_atomically(out / "store.json", {**description, "complete": True, "shards": shards})


def write_rejections(path: Path, dataset: str, rejections: Iterable[Rejection]) -> None:
    """Writes an ``audit.parquet``; equal rejections give equal bytes.

    Raises:
        OSError: it can't be written.
    """
    sink, rows = pa.BufferOutputStream(), iter(rejections)
    with pq.ParquetWriter(sink, AUDIT_SCHEMA, compression="zstd", write_statistics=False) as writer:
        while block := list(islice(rows, _ROWS_AT_ONCE)):
            columns = [[dataset] * len(block), *zip(*block, strict=True)]
            writer.write_table(pa.table([pa.array(column, pa.string()) for column in columns], AUDIT_SCHEMA))
    write_atomically(path, sink.getvalue().to_pybytes())
