"""Make docs/images/review*.jpg: the review page on a store of demo faces, in headless Chromium.

    python scripts/make_review_pictures.py [--folder docs/images]

Needs agegender-train[review], selenium, Pillow, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from agegender_train.preprocessing import preprocess

MOST_BYTES = 200_000
ROOT = Path(__file__).resolve().parents[1]
AGEGENDER = [sys.executable, "-c", "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"]


def driver() -> Chrome:
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(argument)
    return Chrome(options=options, service=Service(shutil.which("chromedriver")))


def look(browser: Chrome, address: str, width: int, height: int, *, dark: bool = False) -> None:
    """Opens the page at a size, and waits until all is there."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get(address)
    time.sleep(2)


def press(browser: Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(browser).send_keys(key).perform()
        time.sleep(0.3)


def keep(browser: Chrome, file: Path) -> None:
    """Writes what is shown, as a JPEG of at most MOST_BYTES."""
    shown = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    for quality in range(90, 50, -2):
        shown.save(file, quality=quality, optimize=True, subsampling=0)
        if file.stat().st_size < MOST_BYTES:
            break


def keep_faces(browser: Chrome, file: Path) -> None:
    assert browser.find_elements("css selector", ".face[aria-label*='jpg']"), f"no face is shown on {file.name}"
    keep(browser, file)


def take(address: str, out: Path) -> None:
    browser = driver()
    try:
        look(browser, address + "?order=age-error", 1280, 800)
        time.sleep(2)  # the model
        press(browser, "a", "r", "2", "6", Keys.ENTER, "a", "g", Keys.ARROW_RIGHT, "a", Keys.ARROW_DOWN, "r")
        keep_faces(browser, out / "review.jpg")
        look(browser, address + "?ages=0-20", 390, 844)
        keep_faces(browser, out / "review-phone.jpg")
        look(browser, address, 1280, 800, dark=True)
        press(browser, "?")
        keep_faces(browser, out / "review-keys.jpg")
    finally:
        browser.quit()


def take_choice(address: str, out: Path) -> None:
    browser = driver()
    try:
        look(browser, address, 1000, 640)
        press(browser, "b")
        time.sleep(2)  # the detector
        keep_faces(browser, out / "review-face.jpg")
    finally:
        browser.quit()


def make_two_faces(folder: Path) -> None:
    """One picture of the portrait twice, the smaller one mirrored, with a label."""
    with Image.open(ROOT / "samples/astronaut.jpg") as portrait:
        face = portrait.crop((60, 0, 400, 340))
    both = Image.new("RGB", (660, 360), (140, 136, 130))
    both.paste(face, (10, 10))
    both.paste(face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((260, 260)), (380, 90))
    folder.mkdir()
    both.save(folder / "both.jpg", quality=95)
    (folder / "labels.csv").write_text("path,age,gender\nboth.jpg,41,f\n")


@contextmanager
def reviewing(*arguments: object) -> Iterator[str]:
    """The address of a review."""
    command = [*AGEGENDER, "review", *map(str, arguments), "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as review:
        try:
            assert review.stderr is not None
            yield review.stderr.readline().split()[-1]
        finally:
            review.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/images")
    out = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as folder:
        demo, store = Path(folder) / "demo", Path(folder) / "store"
        subprocess.run([sys.executable, ROOT / "scripts/make_demo_faces.py", demo], check=True)
        preprocess("utkface", [demo], store, near_duplicates=None)  # all are one portrait
        with reviewing(store) as address:
            take(address, out)
        make_two_faces(two := Path(folder) / "two")
        preprocess("csv", [two], store_of_two := Path(folder) / "store of two", near_duplicates=None)
        with reviewing(store_of_two, "--source", two) as address:
            take_choice(address, out)


if __name__ == "__main__":
    main()
