"""Print how long each stage holds Python's lock in a row, and where.

    uv run python scripts/measure_gil.py

CPython hands the lock over when a function starts, after each call and when a loop jumps back, and C code where it lets
go of it; lock/holds.c takes the time between these, in a process whose only thread is the one that calls the stage. A
place's hold is the median over all calls, so that other work on the machine counts little; the longest is printed.
Needs a C compiler, and a Python whose library is shared: one of a Linux distribution, or pyenv's with
--enable-shared.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import opcode
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import agegender_core as ag
from agegender_core.benchmark.stages import SAMPLE
from agegender_core.detect import make_detector

HOLDS = "AGEGENDER_HOLDS"
"""In the environment: where the compiled lock/holds.c is."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 9], help="in the picture")
    args = parser.parse_args()
    if HOLDS in os.environ:
        measure(args.faces, args.calls)
        return
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(Path(folder))
        # Before the interpreter's own functions of these names.
        environment = {**os.environ, HOLDS: str(library), "LD_PRELOAD": str(library)}
        sys.exit(subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=environment).returncode)


def compiled(folder: Path) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sysconfig.get_config_var("Py_ENABLE_SHARED") or sys.platform != "linux":
        sys.exit("needs Linux, a C compiler (CC) and a Python with a shared library")
    source, library = Path(__file__).parent / "lock" / "holds.c", folder / "holds.so"
    include = sysconfig.get_paths()["include"]
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", f"-I{include}", source, "-o", library, "-ldl"], check=True)
    return library


def measure(faces: list[int], calls: int) -> None:
    holds = ctypes.PyDLL(os.environ[HOLDS])
    holds.microseconds_of.restype = ctypes.c_double
    holds.start_of.restype = holds.end_of.restype = ctypes.py_object
    for name, code in opcode.opmap.items():
        if name.startswith(("CALL", "JUMP_BACKWARD", "POP_JUMP_BACKWARD")):
            holds.after_opcode(code)
    print(f"{'stage':<12}{'faces':>6}{'a call, us':>12}{'longest hold, us':>18}  from -> to")
    for count in faces:
        for name, call in stages(count).items():
            whole, places = watched(holds, call, calls)
            place = max(places, key=lambda one: float(np.median(places[one])))
            start, end, _ = place
            print(f"{name:<12}{count:>6}{whole:>12.0f}{np.median(places[place]):>18.1f}  {start} -> {end}")
    boxes = np.zeros((9, 4))
    often, seldom = (astype_microseconds(boxes, pause, calls) for pause in (0.0, 0.007))
    print(f"astype of nine boxes, us: {often:.1f}, as the first thing after a pause of 7 ms {seldom:.1f}")


def astype_microseconds(boxes: np.ndarray, pause: float, calls: int) -> float:
    """What any of NumPy's operations takes where nothing of it is in a cache any more, after a pause."""
    times = []
    for _ in range(calls):
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        boxes.astype(np.float32)
        times.append(time.perf_counter() - start)
    return 1e6 * float(np.median(times))


def stages(faces: int) -> dict[str, Callable[[], object]]:
    portrait = ag.read_image(SAMPLE)
    columns = int(np.ceil(np.sqrt(faces)))
    frame = np.zeros((portrait.shape[0] * -(-faces // columns), portrait.shape[1] * columns, 3), np.uint8)
    for place in range(faces):
        row, column = divmod(place, columns)
        top, left = row * portrait.shape[0], column * portrait.shape[1]
        frame[top : top + portrait.shape[0], left : left + portrait.shape[1]] = portrait
    content, none = SAMPLE.read_bytes(), ag.Faces.empty()
    hog, yunet, aligner, predictor = ag.HogDetector(), make_detector("yunet"), ag.Aligner(), ag.load_predictor("fast")
    found = yunet(frame, none)
    assert len(found) == faces
    aligned = aligner(frame, found)
    predicted = predictor(frame, aligned)
    tracker, scores = ag.FaceTracker(), np.ones(len(predicted))
    return {
        "decode": lambda: ag.decode_image(content),
        "detect": lambda: yunet(frame, none),
        "detect near": lambda: yunet.near(frame, found.xyxy),
        "HOG": lambda: hog(frame, none),
        "align": lambda: aligner(frame, found),
        "predict": lambda: predictor(frame, aligned),
        "track": lambda: tracker.update(predicted.xyxy.astype(np.float64), scores, 0.0),
        "draw": lambda: ag.draw_faces(frame, predicted),
    }


def watched(
    holds: Any, call: Callable[[], object], calls: int
) -> tuple[float, dict[tuple[str, str, int], list[float]]]:
    """Microseconds of a call without its waits, and of each hold in it, by where it began and ended and how often."""
    for _ in range(5):
        call()
    places, whole = defaultdict(list), []
    # Collections are Python's own, and would fall on any place.
    gc.collect()
    gc.disable()
    for _ in range(calls):
        holds.watch_holds(1)
        call()
        holds.watch_holds(0)
        seen: Counter[tuple[str, str]] = Counter()
        times = [holds.microseconds_of(hold) for hold in range(holds.count_holds())]
        whole.append(sum(times))
        for hold, microseconds in enumerate(times):
            place = (
                name_of(holds.start_of(hold), holds.start_line_of(hold)),
                name_of(holds.end_of(hold), holds.end_line_of(hold)),
            )
            places[(*place, seen[place])].append(microseconds)
            seen[place] += 1
    gc.enable()
    return float(np.median(whole)), {place: times for place, times in places.items() if len(times) == calls}


def name_of(code: Any, line: int) -> str:
    return "C" if code is None else f"{Path(code.co_filename).name}:{line}"


if __name__ == "__main__":
    main()
