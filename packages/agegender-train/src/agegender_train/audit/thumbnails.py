"""Small pictures of faces for a contact sheet: some of those that were kept, and some of those that were left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core import decode_image
from agegender_train.archives import FileTree
from agegender_train.audit.summary import Summary
from agegender_train.datasets import Rejection
from agegender_train.labels import Labels
from agegender_train.store import Store, decode_chip

_QUALITY = 82
_NUMBERED = re.compile(r"#\d+$")


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a sheet.

    Attributes:
        key: the picture's name.
        jpeg: the picture, or empty.
        missing: why there is no picture, or empty.
    """

    key: str
    jpeg: bytes = b""
    missing: str = ""


@dataclass(frozen=True)
class Cell:
    """One place of a sheet.

    Attributes:
        pictures: one, or two that belong together.
        caption: what stands below.
        is_labelled: whether the caption says enough without the picture's name.
    """

    pictures: tuple[Thumbnail, ...]
    caption: str
    is_labelled: bool = False


@dataclass(frozen=True)
class Sheet:
    """A contact sheet.

    Attributes:
        title: what is on it.
        cells: the pictures, in order.
        total: how many entries there are.
        of: how many cells these were taken from: of two copies that name each other there is one cell.
        has_pictures: false where the pictures are not at hand, and only names can be shown.
    """

    title: str
    cells: list[Cell] = field(default_factory=list)
    total: int = 0
    of: int = 0
    has_pictures: bool = True


def sample(names: Sequence[str], most: int) -> list[int]:
    """Which of n rows to show, rising: at random, but the same ones for the same names on every machine."""
    lots = sorted(range(len(names)), key=lambda row: (blake2b(_bytes(names[row]), digest_size=8).digest(), row))
    return sorted(lots[:most])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def accepted_sheet(summary: Summary, most: int, side: int = 96) -> Sheet:
    """Faces of a store, with their labels, the youngest first.

    Args:
        summary: the store.
        most: how many faces at most.
        side: of a thumbnail in pixels.
    """
    labels = summary.labels
    rows = sample(list(labels.key), most) if summary.store is not None else []
    chips = stored_thumbnails(summary.store, labels, rows, side)
    rows.sort(key=lambda row: (np.nan_to_num(labels.age[row], nan=1e9), row))
    cells = [Cell((chips[row],), label_text(labels, row), True) for row in rows]
    return Sheet("Accepted", cells, len(labels), len(labels))


def stored_thumbnails(store: Store | None, labels: Labels, rows: Iterable[int], side: int) -> dict[int, Thumbnail]:
    """Some of a store's faces, small, by their rows; `labels` are the store's."""
    wanted, found = set(rows), {}
    for row, data in enumerate(store.iter_encoded() if wanted and store is not None else ()):
        if row in wanted:
            found[row] = _thumbnail(str(labels.key[row]), decode_chip(data), side)
            if len(found) == len(wanted):
                break
    return found


def label_text(labels: Labels, row: int) -> str:
    """The label of one face in few signs.

    >>> unused = {"group": [""], "subject": [""], "split": [""], "key": [""]}
    >>> label_text(Labels.from_columns(age_low=[20], age_high=[29], gender=[0], **unused), 0)
    '20–29 f'
    """
    low, high = float(labels.age_low[row]), float(labels.age_high[row])
    age = "?" if low != low else f"{low:g}" if low == high else f"{low:g}–{high:g}"
    return f"{age} {('f', 'm', '?')[int(labels.gender[row])]}"


def rejected_sheets(summary: Summary, files: FileTree | None, most: int, reasons: int, side: int = 128) -> list[Sheet]:
    """What a store's dataset had and the store hasn't, a sheet for each of the most frequent reasons.

    Where a rejection names another picture (copies, conflicting labels), both are shown, once a pair.

    Args:
        summary: the store.
        files: the dataset; ``None`` if it isn't at hand: the sheets then have no pictures.
        most: pictures or pairs of a sheet at most.
        reasons: sheets at most.
        side: longer side of a thumbnail in pixels.
    """
    by_reason: dict[str, list[Rejection]] = {reason: [] for reason in list(summary.rejected)[:reasons]}
    for entry in summary.rejections:
        if entry.reason in by_reason:
            by_reason[entry.reason].append(entry)
    sheets = []
    for reason, entries in by_reason.items():
        distinct = _distinct(entries, files)
        shown = [distinct[row] for row in sample([entry.key for entry in distinct], most)]
        cells = [_cell(entry, files, side) for entry in shown]
        sheets.append(Sheet(reason, cells, len(entries), len(distinct), files is not None))
    return sheets


def _distinct(entries: Sequence[Rejection], files: FileTree | None) -> list[Rejection]:
    """The entries without those that name a pair the other way round."""
    pairs: set[tuple[str, str]] = set()
    single = []
    for entry in entries:
        if _file(entry.value, files) is not None:
            pair = (min(entry.key, entry.value), max(entry.key, entry.value))
            if pair in pairs:
                continue
            pairs.add(pair)
        single.append(entry)
    return single


def _file(key: str, files: FileTree | None) -> str | None:
    """The name of the picture file that a key is of: a key has ``#2`` behind where a picture has several labels."""
    if files is None or not key:
        return None
    return next((name for name in (key, _NUMBERED.sub("", key)) if name in files), None)


def _cell(entry: Rejection, files: FileTree | None, side: int) -> Cell:
    keys = [entry.key]
    if _file(entry.value, files) is not None:
        keys.append(entry.value)
    caption = "" if len(keys) == 2 else entry.value
    return Cell(tuple(_picture(key, files, side) for key in keys), caption)


def _picture(key: str, files: FileTree | None, side: int) -> Thumbnail:
    if files is None:
        return Thumbnail(key, missing="the dataset's files are not at hand")
    name = _file(key, files)
    if name is None:
        return Thumbnail(key, missing="no such picture")
    try:
        frame = decode_image(files.read(name), name)
    except (OSError, ValueError):
        return Thumbnail(key, missing="can't be decoded")
    return _thumbnail(key, frame, side)


def _thumbnail(key: str, frame: npt.NDArray[np.uint8], side: int) -> Thumbnail:
    height, width = frame.shape[:2]
    scale = min(side / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Thumbnail(key, bytes(data)) if done else Thumbnail(key, missing="can't be shown")
