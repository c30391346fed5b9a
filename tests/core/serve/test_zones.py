"""The page for lines and zones: what it saves, what it refuses, and how it is used with mouse, finger and keys."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from agegender_core.counting import Line, Regions, Zone, read_regions
from agegender_core.serve.limits import Limits
from agegender_core.serve.server import address_of, listen, serving
from agegender_core.serve.zones import Drawing, zones_app

DOOR = {"name": "door", "start": [10, 20], "end": [10, 80]}
SHELF = {"name": "shelf", "points": [[0, 0], [50, 0], [50, 50]], "stay": 3}


class Page:
    def __init__(self, address: str, path: Path) -> None:
        self.address, self.path = address, path

    def post(self, path: str, document: Any, **headers: str) -> httpx.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return httpx.post(self.address + path, content=content, headers=headers)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    with contextlib.ExitStack() as stack:

        def open_page(frame: np.ndarray, regions: Regions | None = None, path: Path = tmp_path / "zones.toml") -> Page:
            listener = stack.enter_context(listen("127.0.0.1", 0))
            drawing = Drawing(frame, regions, "agegender stream lobby.mp4 --zones zones.toml", path.write_text)
            stack.enter_context(serving(zones_app(drawing, "secret"), listener, Limits()))
            return Page(f"{address_of(listener)}secret/", path)

        yield open_page


def test_what_is_drawn_is_saved(page: Callable[..., Page]) -> None:
    opened = page(np.zeros((100, 200, 3), np.uint8))
    answer = opened.post("save", {"line": [DOOR], "zone": [SHELF]})
    assert answer.status_code == 200
    assert answer.json()["toml"] == opened.path.read_text()
    assert read_regions(opened.path) == Regions(
        (Line("door", (0.05, 0.2), (0.05, 0.8)),), (Zone("shelf", ((0.0, 0.0), (0.25, 0.0), (0.25, 0.5)), 3.0),)
    )


def test_a_check_writes_nothing(page: Callable[..., Page]) -> None:
    opened = page(np.zeros((100, 200, 3), np.uint8))
    assert "[[line]]" in opened.post("check", {"line": [DOOR]}).json()["toml"]
    assert not opened.path.exists()


@pytest.mark.parametrize(
    ("document", "status", "why"),
    [
        ({}, 400, "no line and no zone"),
        ({"line": [{**DOOR, "name": ""}]}, 400, "needs a name"),
        ({"line": [DOOR, DOOR]}, 400, "two regions are called 'door'"),
        ({"line": [{**DOOR, "end": [300, 20]}]}, 400, "outside the frame"),
        ({"line": [{**DOOR, "source": 3}]}, 400, "no text"),
        ({"zone": [{**SHELF, "stay": None}]}, 400, "no number of seconds"),
        (b"[]", 400, "must be a JSON object"),
        (b"{", 400, "must be JSON"),
        (b"[" * 100_000, 400, ""),
        (b"\xff", 400, ""),
        (b" " * 300_000, 413, "at most"),
    ],
)
def test_what_is_refused(page: Callable[..., Page], document: Any, status: int, why: str) -> None:
    opened = page(np.zeros((100, 200, 3), np.uint8))
    for path in ("check", "save"):
        answer = opened.post(path, document)
        assert answer.status_code == status
        assert why in answer.json()["error"]
    assert not opened.path.exists()


def test_only_the_page_itself_may_ask(page: Callable[..., Page]) -> None:
    opened = page(np.zeros((100, 200, 3), np.uint8))
    assert opened.post("save", {"line": [DOOR]}, origin="http://elsewhere.example").status_code == 403
    assert opened.post("save", {"line": [DOOR]}, host="elsewhere.example").status_code == 403
    assert httpx.get(opened.address.replace("secret", "guessed") + "frame.jpg").status_code == 404
    assert httpx.get(opened.address + "../../zones.py").status_code == 404
    assert "default-src 'none'" in httpx.get(opened.address).headers["content-security-policy"]
    assert not opened.path.exists()


def test_a_disk_that_is_full_is_said(tmp_path: Path, page: Callable[..., Page]) -> None:
    opened = page(np.zeros((100, 200, 3), np.uint8), path=tmp_path / "missing" / "zones.toml")
    answer = opened.post("save", {"line": [DOOR]})
    assert (answer.status_code, answer.json()["error"]) == (500, "it can't be saved: No such file or directory")


def test_regions_that_are_there_are_shown(page: Callable[..., Page]) -> None:
    regions = Regions(
        (Line("door", (0.0, 0.0), (0.5, 1.0), "top"),), (Zone("x", ((0, 0), (1, 0), (1, 1)), source="a"),)
    )
    about = httpx.get(page(np.zeros((100, 200, 3), np.uint8), regions).address + "about").json()
    assert about["line"] == [{"name": "door", "points": [[0, 0], [100, 100]], "anchor": "top", "source": None}]
    assert about["zone"][0]["points"] == [[0, 0], [200, 0], [200, 100]]
    assert (about["frame"], about["zone"][0]["stay"], about["zone"][0]["source"]) == ([200, 100], 5.0, "a")
