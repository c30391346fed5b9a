"""Make docs/images/serve*.jpg: the page of `agegender serve` and that of a running stream, in headless Chromium.

    python scripts/make_serve_pictures.py [--folder docs/images]

Needs agegender-core[serve], selenium, Pillow, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from make_review_pictures import AGEGENDER, ROOT, driver, keep, look

from agegender_core import open_source

SAMPLES = ROOT / "samples"


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the page does not show what it should"
        time.sleep(0.1)


def take_pictures(address: str, file: Path) -> None:
    browser = driver()
    try:
        look(browser, address, 390, 844)
        browser.find_element("id", "files").send_keys(str(SAMPLES / "mariachi.webp"))
        until(lambda: browser.find_elements("css selector", ".result tbody tr"))
        keep(browser, file)
    finally:
        browser.quit()


def take_stream(address: str, file: Path) -> None:
    browser = driver()
    try:
        look(browser, address, 1000, 900)
        until(lambda: browser.find_elements("css selector", "#live-faces tbody tr"))
        until(lambda: browser.find_elements("css selector", "#chart svg"))
        time.sleep(3)
        keep(browser, file)
    finally:
        browser.quit()


def play(process: subprocess.Popen[bytes]) -> None:
    """The sample's frames at their own pace, over and over, as a camera would give them."""
    with open_source(str(SAMPLES / "astronaut.mp4")) as source:
        frames = [frame.image.tobytes() for frame in source]
    with contextlib.suppress(OSError):
        for frame in itertools.cycle(frames):
            process.stdin.write(frame)  # type: ignore[union-attr]
            time.sleep(0.04)


@contextmanager
def serving(*arguments: object, started: Callable[[subprocess.Popen[bytes]], object] = id) -> Iterator[str]:
    """The address of what a command serves."""
    command = [*AGEGENDER, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            started(process)
            assert process.stderr is not None
            yield process.stderr.readline().split()[-1].decode()
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/images")
    out = parser.parse_args().folder
    with serving("serve", "--port", 0) as address:
        take_pictures(address, out / "serve-phone.jpg")
    with open_source(str(SAMPLES / "astronaut.mp4")) as source:
        size = f"{source.width}x{source.height}"

    def start(process: subprocess.Popen[bytes]) -> None:
        threading.Thread(target=play, args=(process,), daemon=True).start()

    with serving("stream", "-", "--size", size, "--no-show", "--serve", 0, started=start) as address:
        take_stream(address, out / "serve-stream.jpg")


if __name__ == "__main__":
    main()
