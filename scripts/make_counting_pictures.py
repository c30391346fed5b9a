"""Make docs/images/zones.jpg and counts.png: the page of `agegender zones` in headless Chromium, and a plot of counts.

    uv run python scripts/make_counting_pictures.py [--folder docs/images]

Nobody was counted for the plot: its people are drawn at random, as they may come to a shop. Needs Matplotlib,
agegender-core[serve], selenium, Pillow, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from make_review_pictures import ROOT, driver, keep, look

from agegender_core.counting import CountEvent, Line, MinuteCounts, Person, Zone
from agegender_core.counting.plot import plot_counts

ZONES = """frame = [512, 400]
[[line]]
name = "door"
start = [400, 390]
end = [330, 30]
[[zone]]
name = "counter"
points = [[60, 110], [270, 60], [300, 240], [200, 380], [40, 350]]
"""
MORNING = 1_764_230_400.0  # 2025-11-27, 08:00 UTC


def take_zones(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zones.toml"
        path.write_text(ZONES)
        words = ["zones", str(ROOT / "samples" / "astronaut.mp4"), "--output", str(path), "--no-browser"]
        program = "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"
        with subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            address = process.stderr.readline().split()[-1]
            browser = driver()
            try:
                look(browser, address, 1000, 740)
                browser.execute_script("document.querySelector('[data-point=\"1-0\"]').focus({focusVisible: false})")
                keep(browser, file)
            finally:
                browser.quit()
                process.terminate()


def rows_of_a_day() -> list[dict[str, object]]:
    chance = random.Random(0)
    door, counter = Line("door", (0.5, 0.0), (0.5, 1.0)), Zone("counter", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
    counts, rows, inside = MinuteCounts("lobby", [door], [counter]), [], []
    for second in range(10 * 3600):
        now, events = float(second), []
        if 15_000 < second < 17_400:
            continue  # the camera was away
        rate = 0.004 + 0.012 * math.exp(-(((second - 14_000) / 5_000) ** 2))
        rate += 0.02 * math.exp(-(((second - 30_000) / 4_000) ** 2))
        if chance.random() < rate:
            who = Person(1, 1, now, now, (0, 0, 1, 1), chance.gauss(38, 16), None, chance.random())
            events.append(CountEvent("door", "in", who, now, MORNING + now))
            inside.append((now + chance.uniform(120, 1800), who))
            if chance.random() < 0.6:
                events.append(CountEvent("counter", "entered", who, now, MORNING + now))
        for leaves, who in [one for one in inside if one[0] <= now]:
            inside.remove((leaves, who))
            events.append(CountEvent("door", "out", who, now, MORNING + now))
        rows += counts.add(events, now, MORNING + now)
    return rows + counts.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder
    rows = rows_of_a_day()
    (folder / "counts.png").write_bytes(plot_counts(rows, ".png"))
    take_zones(folder / "zones.jpg")


if __name__ == "__main__":
    main()
