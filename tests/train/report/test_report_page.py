"""The report in a browser: it stands alone and is readable on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("selenium")

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation import evaluate
from agegender_train.report import write_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on this machine"
)


class Guess:
    spec = PreprocessSpec(64, chip_size=72)

    def __init__(self, name: str) -> None:
        self.name = name

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        red, green, blue = (chips[..., channel].mean(axis=(1, 2)) for channel in range(3))
        age = np.float32(np.clip((green - 40) / 1.5, 0, 100))
        return Prediction(age, np.full_like(age, 3.0), np.float32(1 / (1 + np.exp((blue - red) / 50))))


@pytest.fixture(scope="module")
def page(make_store: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("a-network-with-quite-a-long-name-and-more", "b", "c", "d", "e", "f")
    stores = [make_store("ages", 40, exact=True), make_store("groups", 40)]
    found = [evaluate(Guess(name), store, rounds=20) for store in stores for name in names]
    return write_report(found, tmp_path_factory.mktemp("report"), "agegender eval x") / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen_and_every_picture_is_there(browser: Chrome, page: Path, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter(one => !one.complete || !one.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert browser.execute_script("return document.images.length") > 100
    assert (
        browser.execute_script(
            "return performance.getEntriesByType('resource').filter(one => !one.name.startsWith('data:')).length"
        )
        == 0
    )
    assert browser.get_log("browser") == []
    # Opened, the folded tables don't make the page any wider.
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
