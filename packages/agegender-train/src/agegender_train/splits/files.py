"""Splits on disk: STORE/splits/NAME.csv with a side for each face, and NAME.json with how it was made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.spelling import with_near_names
from agegender_train.files import write_atomically
from agegender_train.splits.make import SIDES, Split, made_of, side_name
from agegender_train.store import Store

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TO_QUOTE = re.compile(r'[",\r\n]')
_HEADER = ["key", "face", "fold"]


def split_path(store: Path, name: str) -> Path:
    """The table of the split `name` of the store in the folder `store`.

    Raises:
        ValueError: it is no valid name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name must be of letters, digits, '.', '_' and '-', and start with one of the first two, got {name!r}"
        )
    return store / "splits" / f"{name}.csv"


def list_splits(store: Store) -> list[str]:
    """The names of a store's splits, sorted."""
    return sorted(file.stem for file in (store.path / "splits").glob("*.json") if _NAME.fullmatch(file.stem))


def write_split(split: Split, name: str, *, replace: bool = False) -> list[Path]:
    """Writes a split into each of its stores; the same split always gives the same bytes.

    Args:
        split: what to write.
        name: what it is called.
        replace: overwrite another one of that name.

    Returns:
        The tables, one a store.

    Raises:
        FileExistsError: a store has another split, or another file, of that name, and `replace` is false.
        OSError: a file can't be written.
    """
    planned: list[tuple[Path, bytes, dict[str, Any]]] = []
    for index, store in enumerate(split.table.stores):
        path = split_path(store.path, name)
        content, about = _table(split, index), _describe(split, index)
        about["sha256"] = hashlib.sha256(content).hexdigest()
        if not replace and path.exists() and path.read_bytes() != content:
            raise FileExistsError(f"{path} is another split: give another name, or replace it")
        # The table is written first: without it, what has the name of its companions is no part of a split.
        strangers = [] if path.exists() else [path.with_suffix(suffix) for suffix in (".json", ".png")]
        for stranger in strangers:
            if not replace and stranger.exists():
                raise FileExistsError(
                    f"{stranger} is there, and no split of that name: give another name, or replace it"
                )
        planned.append((path, content, about))
    for path, content, about in planned:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)
        write_atomically(path.with_suffix(".json"), about)
    return [path for path, _, _ in planned]


def _table(split: Split, index: int) -> bytes:
    rows = np.flatnonzero(split.table.store == index)
    keys, faces, sides = split.table.labels.key, split.table.face, split.sides
    lines = (f"{_quoted(keys[row])},{faces[row]},{side_name(sides[row])}\n" for row in rows)
    return "".join([",".join(_HEADER) + "\n", *lines]).encode()


def _quoted(text: str) -> str:
    # Python's own writer quotes by other rules in other versions.
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) or text != text.strip() else text


def _describe(split: Split, index: int) -> dict[str, Any]:
    stores = [
        {"name": store.name, "faces": int((split.table.store == number).sum()), "fingerprint": made_of(store)}
        for number, store in enumerate(split.table.stores)
    ]
    mine = split.sides[split.table.store == index]
    counts = Counter(mine.tolist())
    settings = asdict(split.settings)
    if split.settings.official:
        settings = {"official": True, "by": split.settings.by}
    return {
        "format": FORMAT,
        "settings": settings,
        "store": stores[index],
        "stores": stores,
        "counts": {side_name(side): counts[side] for side in sorted(counts, key=lambda side: (side < 0, abs(side)))},
        "leaking": int(split.leaking[split.table.store == index].sum()),
    }


def read_split(store: Store, name: str) -> npt.NDArray[np.int16]:
    """The side of each of the store's faces, in the order of its rows.

    Labels corrected and faces rejected in a later review make no difference: the others stay on their sides.

    Args:
        store: an open store.
        name: of the split; see `list_splits`.

    Returns:
        int16 (n,): a fold from 0 on, or one of `SIDES`.

    Raises:
        FileNotFoundError: the store has no such split.
        ValueError: the store was made again since, or the split's files are damaged.
    """
    path = split_path(store.path, name)
    about_path = path.with_suffix(".json")
    if not about_path.exists():
        there = list_splits(store)
        missing = FileNotFoundError(
            f"{store.path} has no split {name!r} (there is: {', '.join(there) or 'none'}); make one with: "
            "agegender split"
        )
        raise with_near_names(missing, name, there)
    try:
        about = json.loads(about_path.read_bytes())
    except ValueError:
        raise ValueError(f"{about_path} is damaged: make the split again") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"{about_path} is no split of format {FORMAT}: make the split again")
    content = path.read_bytes() if path.exists() else b""
    if about.get("sha256") != hashlib.sha256(content).hexdigest():
        raise ValueError(f"{path} is gone or was changed since it was made: make the split again")
    again = f"agegender split {store.path} --name {name} --replace"
    if about["store"]["fingerprint"] != made_of(store):
        raise ValueError(
            f"the split {name} was made for other faces than {store.path} holds now; make it again: {again}"
        )
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    if header != _HEADER:
        raise ValueError(f"{path} must have the columns {', '.join(_HEADER)}, got {', '.join(header)}")
    sides = {(key, int(face)): SIDES[side] if side in SIDES else int(side) for key, face, side in rows}
    wanted = store.columns("key", "face").to_pydict()
    try:
        return np.array(
            [sides[key, face or 0] for key, face in zip(wanted["key"], wanted["face"], strict=True)], np.int16
        )
    except KeyError as error:
        raise ValueError(
            f"the split {name} doesn't know {error.args[0][0]} of {store.path}; make it again: {again}"
        ) from None
