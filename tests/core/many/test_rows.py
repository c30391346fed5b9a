"""Rows of many pictures: their order, their reasons, and what is open meanwhile."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from agegender_core.images import write_image
from agegender_core.many.files import Addresses, Files, ReadBy, Unreadable
from agegender_core.many.listing import Item, Listing, Part
from agegender_core.many.rows import ROWS_AHEAD, look_at_all, rows_of


@dataclass(frozen=True)
class Noted:
    """A source that notes what is done with it; key "x" can't be read."""

    data: bytes
    in_turn: bool
    notes: list[Any] = field(default_factory=list, compare=False)
    opened: ClassVar[bool] = True

    def name(self, key: str) -> str:
        return key

    def stem(self, key: str) -> str:
        return key

    def path(self, key: str) -> None:
        return None

    def exists(self, key: str) -> bool:
        return True

    def open(self) -> ReadBy:
        if not self.opened:
            raise OSError("gone")
        self.notes.append("open")

        def read(key: str) -> bytes:
            self.notes.append((key, threading.current_thread() is threading.main_thread()))
            if key == "x":
                raise OSError("torn")
            return self.data

        reader = ReadBy(read)
        reader.close = lambda: self.notes.append("close")  # type: ignore[method-assign]
        return reader


@pytest.fixture
def png(tmp_path: Path) -> bytes:
    write_image(tmp_path / "x.png", np.zeros((5, 7, 3), np.uint8))
    return (tmp_path / "x.png").read_bytes()


def look(item: Item, image: np.ndarray, row: dict[str, Any]) -> None:
    time.sleep(0.02 * (item.key == "a"))
    row["faces"] = [{"of": item.key}]


def test_rows_come_in_order_and_sources_one_after_another(png: bytes) -> None:
    first, second = Noted(png, in_turn=True), Noted(png, in_turn=False)
    listing = Listing([Part(first, ["a", "b", "x"]), Part(second, ["c", "x", "d"])])
    rows = list(rows_of(listing, look, 3))
    assert [(row["source"], row["error"], row["faces"]) for row in rows] == [
        *((key, None, [{"of": key}]) for key in "ab"),
        ("x", "torn", []),
        ("c", None, [{"of": "c"}]),
        ("x", "torn", []),
        ("d", None, [{"of": "d"}]),
    ]
    assert (rows[0]["width"], rows[0]["height"]) == (7, 5)
    # What must be read in turn is, by one thread; the other is read by several, while pictures are looked at.
    assert first.notes == ["open", ("a", True), ("b", True), ("x", True), "close"]
    assert (second.notes[0], second.notes[-1]) == ("open", "close")
    assert sorted(second.notes[1:-1]) == [("c", False), ("d", False), ("x", False)]


def test_a_source_that_cannot_be_opened_gives_rows_with_the_reason(png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noted, "opened", False)
    for in_turn in (True, False):
        rows = list(rows_of(Listing([Part(Noted(png, in_turn), ["a", "b"])]), look, 2))
        assert [row["error"] for row in rows] == ["gone", "gone"]


def test_what_is_not_there_is_told_from_what_is_broken(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "good.png").write_bytes(png)
    (tmp_path / "bad.png").write_bytes(b"bad")
    (tmp_path / "folder.png").mkdir()
    names = ["good.png", "bad.png", "none.png", "folder.png", "good.png/x.png"]
    listing = Listing([Part(Files(str(tmp_path)), names), Part(Unreadable(), [("z", "why")])])
    with closing(look_at_all(listing, look, 2)) as seen:
        found = {one.item.name: (one.row["error"], one.missing) for one in seen}
    assert found == {
        "good.png": (None, False),
        "bad.png": ("not a picture that OpenCV can decode", False),
        "none.png": ("No such file or directory", True),
        "folder.png": ("is a folder, not a picture", False),
        "good.png/x.png": ("Not a directory", True),
        "z": ("why", False),
    }
    assert not Files(str(tmp_path)).exists("none.png")
    assert Files(str(tmp_path)).exists("good.png")


def test_an_address_is_shown_without_its_password() -> None:
    source = Addresses()
    assert source.name("https://me:secret@host/a%20b.jpg?x=1") == "https://***@host/a%20b.jpg?x=1"
    assert source.stem("https://host/a%2Fb%20c.jpg?x=1") == "b_c"
    assert source.stem("https://host") == "picture"


def test_others_are_done_behind_one_that_takes_long(png: bytes) -> None:
    workers, others, enough, behind = 2, [], threading.Event(), []

    def look(item: Item, image: np.ndarray, row: dict[str, Any]) -> None:
        if item.key == "0":
            assert enough.wait(20)
            time.sleep(0.2)
            behind.append(len(others))
            return
        others.append(item.key)
        if len(others) == 20:
            enough.set()

    names = [str(n) for n in range(100)]
    rows = list(rows_of(Listing([Part(Noted(png, in_turn=False), names)]), look, workers))
    assert [(row["source"], row["error"]) for row in rows] == [(name, None) for name in names]
    assert behind[0] <= ROWS_AHEAD * workers


def test_few_are_in_work_at_a_time(png: bytes) -> None:
    source = Noted(png, in_turn=True)
    listing = Listing([Part(source, [str(n) for n in range(40)])])
    looked: list[str] = []
    held: list[int] = []

    def look(item: Item, image: np.ndarray, row: dict[str, Any]) -> None:
        held.append(len(source.notes) - 1 - len(looked))
        looked.append(str(item.key))

    assert len(list(look_at_all(listing, look, 3))) == 40
    assert max(held) <= 3 + 2
