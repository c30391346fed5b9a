"""Print how long each stage keeps other Python threads from running.

    uv run python scripts/measure_gil.py

One thread calls a stage over and over; another one looks at the clock in a loop. Its longest wait during a call is how
long the call held the global interpreter lock, plus what it takes to get the lock back; the first row, a call that
holds nothing, shows the latter. With the switch interval of 10 microseconds that is set here, Python's own code hands
the lock over all the time, so what is left are single calls of C that keep it. Needs two idle cores.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

import agegender_core as ag
from agegender_core.benchmark.stages import SAMPLE
from agegender_core.detect import make_detector

SWITCH = 1e-5


class Watch:
    """A thread that looks at the clock, and the longest gap between two looks since `start`."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.last = time.perf_counter()
        self._watching = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self._watching:
            now = time.perf_counter()
            self.longest = max(self.longest, now - self.last)
            self.last = now

    def stop(self) -> None:
        self._watching = False
        self._thread.join()


def waits(call: Callable[[], object], calls: int) -> list[float]:
    """The longest wait of each call, seconds."""
    watch, found = Watch(), []
    for _ in range(calls):
        time.sleep(0.002)
        watch.longest = 0.0
        call()
        # The other thread may still be waiting.
        found.append(max(watch.longest, time.perf_counter() - watch.last))
    watch.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    sys.setswitchinterval(SWITCH)
    content, frame = SAMPLE.read_bytes(), ag.read_image(SAMPLE)
    none = ag.Faces.empty()
    hog, yunet, aligner, predictor = ag.HogDetector(), make_detector("yunet"), ag.Aligner(), ag.load_predictor("fast")
    found = yunet(frame, none)
    aligned = aligner(frame, found)
    predicted = predictor(frame, aligned)
    tracker, scores = ag.FaceTracker(), np.ones(len(predicted))
    stages: dict[str, Callable[[], object]] = {
        "nothing (sleep for 1 ms)": lambda: time.sleep(0.001),
        "decode": lambda: ag.decode_image(content),
        "detect": lambda: yunet(frame, none),
        "detect by hog": lambda: hog(frame, none),
        "align": lambda: aligner(frame, found),
        "predict": lambda: predictor(frame, aligned),
        "track": lambda: tracker.update(predicted.xyxy.astype(np.float64), scores, 0.0),
        "draw": lambda: ag.draw_faces(frame, predicted),
    }
    print(f"{'longest wait of another thread, us':36}{'median':>9}{'90 %':>9}{'a call, us':>12}")
    for name, call in stages.items():
        call()
        start = time.perf_counter()
        for _ in range(20):
            call()
        whole = (time.perf_counter() - start) / 20
        median, high = np.percentile(waits(call, args.calls), [50, 90]) * 1e6
        print(f"{name:36}{median:9.0f}{high:9.0f}{whole * 1e6:12.0f}")


if __name__ == "__main__":
    main()
