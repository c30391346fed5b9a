"""Small pictures of faces for a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import cv2
import numpy as np
import numpy.typing as npt

from agegender_train.store import Store, decode_chip
from agegender_train.store.labels import Labels

_QUALITY = 82


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


def stored_thumbnails(store: Store | None, labels: Labels, rows: Iterable[int], side: int) -> dict[int, Thumbnail]:
    """Some of a store's faces, small, by their rows; `labels` are the store's."""
    wanted, found = set(rows), {}
    for row, data in enumerate(store.iter_encoded() if wanted and store is not None else ()):
        if row in wanted:
            found[row] = thumbnail(str(labels.key[row]), decode_chip(data), side)
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


def thumbnail(key: str, frame: npt.NDArray[np.uint8], side: int) -> Thumbnail:
    """The picture with a longer side of at most `side` pixels."""
    height, width = frame.shape[:2]
    scale = min(side / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Thumbnail(key, bytes(data)) if done else Thumbnail(key, missing="can't be shown")
