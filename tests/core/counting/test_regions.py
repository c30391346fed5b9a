"""Lines and zones, and the TOML file that they stand in."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_core.counting import AgeBands, Line, Regions, Zone, read_regions, regions_toml

DOOR = '[[line]]\nname = "door"\nstart = [0.5, 0]\nend = [0.5, 1]\n'
SHELF = '[[zone]]\nname = "shelf"\npoints = [[0, 0], [1, 0], [1, 1]]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Zönen.toml"


def test_a_file_in_parts_of_the_frame(path: Path) -> None:
    path.write_text(DOOR + 'anchor = "bottom"\n' + SHELF + "stay = 3\n", "utf-8")
    assert read_regions(path) == Regions(
        (Line("door", (0.5, 0.0), (0.5, 1.0), "bottom"),), (Zone("shelf", ((0, 0), (1, 0), (1, 1)), 3.0),)
    )


def test_a_file_in_pixels_and_with_bands(path: Path) -> None:
    text = 'frame = [640, 480]\nages = [18, 65]\n[[line]]\nname = "Tür"\nstart = [320, 0]\nend = [320, 480]\n'
    # Windows' Notepad begins a file with a byte order mark.
    path.write_text(text, "utf-8-sig")
    regions = read_regions(path)
    assert regions.lines == (Line("Tür", (0.5, 0.0), (0.5, 1.0)),)
    assert regions.bands.names == ["0-17", "18-64", "65+"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[line", "Expected"),
        ("", "no line and no zone"),
        ("line = [3]", "begins with \\[\\[line\\]\\]"),
        ("[[lines]]", "unknown key 'lines'; did you mean line"),
        (DOOR + "colour = 1", "line 'door' has an unknown key 'colour', expected name, start"),
        (DOOR.replace("end", "# "), "line 'door' has no 'end'"),
        (DOOR.replace('"door"', "3"), "name = 3 is no text"),
        (DOOR.replace('"door"', '" "'), "needs a name"),
        (DOOR.replace("[0.5, 1]", "[1]"), "no pair of numbers"),
        (DOOR.replace("[0.5, 1]", "[nan, 1]"), "no pair of numbers"),
        (DOOR.replace("[0.5, 1]", "[true, 1]"), "no pair of numbers"),
        (DOOR.replace("[0.5, 1]", "[320, 480]"), "frame = \\[width, height\\] lets you write pixels"),
        ("frame = [640, 480]\n" + DOOR.replace("[0.5, 1]", "[700, 1]"), "pixels of a frame of 640 x 480"),
        ("frame = [640, 0]\n" + DOOR, "no width and height"),
        (DOOR.replace("[0.5, 1]", "[0.5, 0]"), "has no length"),
        (DOOR + 'anchor = "feet"', "expected middle, top, bottom"),
        (DOOR + "source = 3", "source = 3 is no text"),
        (DOOR + DOOR, "two regions are called 'door'"),
        (SHELF.replace("shelf", "door") + DOOR, "two regions are called 'door'"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "3"), "no list of points"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0]]"), "has 2 corners"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 1], [1, 0], [0, 1]]"), "cross or touch"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0], [0.5, 0]]"), "cross or touch"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0], [1, 0], [1, 1]]"), "cross or touch"),
        (SHELF.replace("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0], [1, 1], [0.5, 0]]"), "cross or touch"),
        (SHELF + 'stay = "long"', "no number of seconds"),
        (SHELF + "stay = -1", "no number of seconds of 0 or more"),
        (SHELF + "stay = inf", "no number of seconds of 0 or more"),
        ("ages = 3\n" + DOOR, "no list of years"),
        ("ages = [18, 18]\n" + DOOR, "whole years that rise"),
        ("ages = [18.5]\n" + DOOR, "whole years that rise"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_regions(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="Zönen"):
        read_regions(path)


def test_regions_of_one_source() -> None:
    door, back = Line("door", (0, 0), (1, 1)), Line("back", (0, 0), (1, 1), source="rtsp://cam2")
    regions = Regions((door, back))
    assert regions.for_source("rtsp://cam1", "cam1") == ((door,), ())
    assert regions.for_source("rtsp://cam2") == ((door, back), ())
    assert regions.sources == {"rtsp://cam2"}


PIXELS = st.tuples(st.integers(0, 640), st.integers(0, 480)).map(lambda point: (point[0] / 640, point[1] / 480))
NAMES = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(NAMES, NAMES, st.tuples(PIXELS, PIXELS).filter(lambda ends: ends[0] != ends[1]), st.floats(0, 99).map(round))
def test_what_is_written_is_read_again(
    line: str, zone: str, ends: tuple[tuple[float, float], tuple[float, float]], stay: int
) -> None:
    square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    regions = Regions(
        (Line(line, *ends, source="Ümlaut 'quoted' \"twice\"", anchor="top"),),
        (Zone(zone + "\x7f2" + line, square, float(stay)),),
        AgeBands((13, 18)),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zones.toml"
        path.write_text(regions_toml(regions, (640, 480)), "utf-8", newline="")
        assert read_regions(path) == regions


@pytest.mark.parametrize(
    ("edges", "age", "name"), [((18, 65), 17.9, "0-17"), ((18, 65), 18, "18-64"), ((1,), 0.5, "0")]
)
def test_bands(edges: tuple[int, ...], age: float, name: str) -> None:
    bands = AgeBands(edges)
    assert bands.name(bands.of(age)) == name


@given(st.floats(0, 100), st.floats(0.5, 20), st.floats(0.5, 20))
def test_an_interval_of_90_percent_holds_90(age: float, below: float, above: float) -> None:
    bands = AgeBands((10, 20, 30, 40, 50, 60, 70))
    sure = bands.confidence(age, (age - below, age + above))
    assert sure is not None
    assert 0 <= sure <= 1
    # A band that is the interval itself has 90 %.
    low, high = math.floor(age) - 5, math.floor(age) + 6
    if low >= 1:
        own = AgeBands((low, high)).confidence(age, (float(low), float(high)))
        assert own == pytest.approx(0.9, abs=0.001)
    assert bands.confidence(age, None) is None
