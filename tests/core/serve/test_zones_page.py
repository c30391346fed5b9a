"""Lines and zones drawn in headless Chromium: with the mouse, with a finger's width, with keys; undone, and saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium")

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from agegender_core.counting import Line, Regions, Zone, read_regions
from agegender_core.images import read_image
from agegender_core.serve.limits import Limits
from agegender_core.serve.server import address_of, listen, serving
from agegender_core.serve.zones import Drawing, zones_app

from .browsing import NEEDS_BROWSER, WIDTHS, check, keep, see, show, start_browser, text_of

pytestmark = NEEDS_BROWSER
SIZE = (512, 360)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "zones.toml"


@pytest.fixture
def address(path: Path, astronaut_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    frame = np.ascontiguousarray(read_image(astronaut_path)[: SIZE[1], : SIZE[0]])
    drawing = Drawing(frame, getattr(request, "param", None), "agegender stream lobby.mp4", path.write_text)
    with listen("127.0.0.1", 0) as listener, serving(zones_app(drawing, "secret"), listener, Limits()):
        yield f"{address_of(listener)}secret/"


def click(browser: Chrome, name: str) -> None:
    browser.find_element(By.ID, name).click()


def point(browser: Chrome, place: str) -> tuple[float, float]:
    circle = browser.find_element(By.CSS_SELECTOR, f"[data-point='{place}'] .point")
    return float(str(circle.get_attribute("cx"))), float(str(circle.get_attribute("cy")))


def drag(browser: Chrome, selector: str, across: int, down: int) -> None:
    there = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", there)
    ActionChains(browser, 50).click_and_hold(there).move_by_offset(across, down).release().perform()


def saved(browser: Chrome, path: Path) -> Regions:
    see(browser, lambda b: b.find_element(By.ID, "save").is_enabled())
    click(browser, "save")
    see(browser, lambda b: "Saved. Use it: agegender stream lobby.mp4" in text_of(b, "#saved"))
    return read_regions(path)


@WIDTHS
def test_lines_and_zones_are_drawn_and_saved(browser: Chrome, address: str, path: Path, width: int) -> None:
    show(browser, address, width)
    see(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#drawing image"))
    assert not browser.find_element(By.ID, "save").is_enabled()
    click(browser, "add-line")
    click(browser, "add-zone")
    see(browser, lambda b: "[[zone]]" in b.find_element(By.ID, "toml").get_attribute("textContent"))
    unit = browser.execute_script("return 512 / document.querySelector('#drawing').clientWidth")
    before = point(browser, "1-0")
    drag(browser, "[data-point='1-0'] .hit", -30, -40)
    after = point(browser, "1-0")
    assert np.allclose(np.subtract(after, before), [-30 * unit, -40 * unit], atol=2)
    drag(browser, "[data-between='1-0']", 0, -30)  # a new corner between the first two
    name = browser.find_elements(By.CSS_SELECTOR, ".region input")[0]
    name.clear()
    name.send_keys("Tür")
    keep(browser, f"zones-{width}")
    regions = saved(browser, path)
    assert [line.name for line in regions.lines] == ["Tür"]
    assert [(zone.name, len(zone.points), zone.stay) for zone in regions.zones] == [("zone 1", 5, 5.0)]
    assert np.allclose(np.multiply(regions.zones[0].points[0], SIZE), after, atol=1)
    keep(browser, f"zones-saved-{width}")
    check(browser, width)


def test_keys_move_points_and_take_corners_away(browser: Chrome, address: str, path: Path) -> None:
    show(browser, address, 1280)
    see(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#drawing image"))
    click(browser, "add-zone")
    handle = browser.find_element(By.CSS_SELECTOR, "[data-point='0-2']")
    browser.execute_script("arguments[0].focus()", handle)
    x, y = point(browser, "0-2")
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN).perform()
    moved = point(browser, "0-2")
    assert moved[0] > x
    assert moved[1] > y
    ActionChains(browser).send_keys(Keys.DELETE).perform()
    assert len(saved(browser, path).zones[0].points) == 3
    ActionChains(browser).send_keys(Keys.DELETE).perform()  # three are the least
    assert len(browser.find_elements(By.CSS_SELECTOR, "[data-point]")) == 3
    check(browser, 1280)


def test_undo_turn_around_and_remove(browser: Chrome, address: str, path: Path) -> None:
    show(browser, address, 1280)
    see(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#drawing image"))
    click(browser, "add-line")
    start, end = point(browser, "0-0"), point(browser, "0-1")
    browser.find_elements(By.CSS_SELECTOR, ".region button")[0].click()
    assert (point(browser, "0-0"), point(browser, "0-1")) == (end, start)
    click(browser, "undo")
    assert point(browser, "0-0") == start
    browser.find_elements(By.CSS_SELECTOR, ".region button")[1].click()
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-point]")
    click(browser, "undo")
    drag(browser, "[data-point='0-0'] .hit", 40, 10)
    assert point(browser, "0-0") != start
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert point(browser, "0-0") == start
    click(browser, "undo")
    assert not browser.find_element(By.ID, "undo").is_enabled()
    assert not path.exists()
    check(browser, 1280)


@WIDTHS
def test_what_is_wrong_is_said_and_not_saved(browser: Chrome, address: str, path: Path, width: int) -> None:
    show(browser, address, width)
    see(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#drawing image"))
    click(browser, "add-zone")
    half = browser.execute_script("return document.querySelector('#drawing').clientWidth * 0.6")
    drag(browser, "[data-point='0-0'] .hit", int(half), int(half / 4))
    see(browser, lambda b: "cross or touch" in text_of(b, "#alert"))
    assert not browser.find_element(By.ID, "save").is_enabled()
    keep(browser, f"zones-wrong-{width}")
    click(browser, "undo")
    see(browser, lambda b: text_of(b, "#alert") == "")
    assert browser.find_element(By.ID, "save").is_enabled()
    assert not path.exists()
    check(
        browser,
        width,
        errors=browser.execute_script(
            "return performance.getEntriesByType('resource').filter(e => e.responseStatus === 400).length"
        ),
    )


THERE = Regions((Line("door", (0.25, 0.0), (0.25, 1.0)),), (Zone("shelf", ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0))),))


@pytest.mark.parametrize("address", [THERE], indirect=True)
def test_a_file_that_is_there_is_gone_on_with(browser: Chrome, address: str, path: Path) -> None:
    show(browser, address, 1280)
    see(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, ".region")) == 2)
    assert not browser.find_element(By.ID, "save").is_enabled()
    click(browser, "add-line")
    regions = saved(browser, path)
    assert (regions.lines[0], regions.zones) == (THERE.lines[0], THERE.zones)
    assert regions.lines[1].name == "line 1"
