"""Headless Chromium for the tests of pages: it opens them as wide as asked, looks, and keeps what people may see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium")

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on this machine"),
]
WIDTHS = pytest.mark.parametrize("width", [1280, 390])


def start_browser(*arguments: str) -> Chrome:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *arguments,
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, Service(str(DRIVER)))


def show(browser: Chrome, address: str, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)


def see(browser: Chrome, condition: Callable[[Chrome], Any], seconds: float = 30) -> Any:
    return WebDriverWait(browser, seconds, 0.05).until(condition)


def text_of(browser: Chrome, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def keep(browser: Chrome, name: str) -> None:
    """A picture of the page for people, in the folder that AGEGENDER_SCREENSHOTS names."""
    folder = os.environ.get("AGEGENDER_SCREENSHOTS")
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def check(browser: Chrome, width: int, errors: int = 0) -> None:
    """Nothing sticks out, nothing is loaded from elsewhere, nothing was wrong."""
    look = """return {
        remote: performance.getEntriesByType('resource').map(e => e.name)
            .filter(n => !n.startsWith(location.origin) && !n.startsWith('blob:') && !n.startsWith('data:')),
        broken: [...document.images].filter(i => i.src && i.complete && !i.naturalWidth).length,
        width: document.documentElement.scrollWidth}"""
    assert browser.execute_script(look) == {"remote": [], "broken": 0, "width": width}
    log = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert len(log) == errors, log
