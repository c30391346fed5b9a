"""Print the rate and the memory of `agegender serve`, asked by several clients, and whether its answers are predict's.

The pictures are those of the tests, hostile ones among them. Meanwhile some connections drip bytes that never become a
request. The rates of `agegender predict` on the same pictures stand beside. Needs the development environment.

    uv run python scripts/soak_serve.py --requests 1000 --clients 8
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from PIL import Image

from agegender_core.images import PICTURE_SUFFIXES, ImageError, read_image
from agegender_core.pipeline import Pipeline
from agegender_core.telemetry import memory_mb

ROOT = Path(__file__).resolve().parents[1]
AGEGENDER = Path(sys.executable).parent / "agegender"
_DIGIT = 0.0101  # one in the last digit of an age


def make_pictures(folder: Path, count: int) -> list[Path]:
    """Pictures in every format and orientation, wrong suffixes, and files that are cut off, empty or none."""
    spec = importlib.util.spec_from_file_location("tests_conftest", ROOT / "tests/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    made = conftest.MadeInputs(folder, Image.fromarray(read_image(ROOT / "samples/astronaut.jpg")[20:240, 110:330]))
    made.every_format_in_every_orientation(PICTURE_SUFFIXES)
    made.suffixes_that_disagree(60, PICTURE_SUFFIXES)
    for path in sorted(folder.iterdir())[::9]:
        (folder / f"cut-{path.name}").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "astronaut.jpg").write_bytes((ROOT / "samples/astronaut.jpg").read_bytes())
    # As many pixels as the server takes, in a small file.
    Image.new("1", (7000, 7000)).save(folder / "large.png")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    random.Random(3).shuffle(paths)
    paths.sort(key=lambda path: path.name not in ("astronaut.jpg", "large.png"))
    return paths[:count]


def predicted(paths: list[Path], model: str) -> tuple[dict[str, Any], float]:
    """The rows of `agegender predict` by source, and the seconds it took."""
    start = time.perf_counter()
    command = [AGEGENDER, "predict", *paths, "--format", "jsonl", "--model", model, "--quiet"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["source"]: row for row in rows}, time.perf_counter() - start


def one_by_one(paths: list[Path], model: str) -> tuple[float, float]:
    """Seconds, and CPU seconds, that the loaded pipeline takes for the pictures, one after the other."""
    pipeline = Pipeline.for_pictures(model, device="auto", runtime="auto")
    pipeline(read_image(ROOT / "samples/astronaut.jpg"))
    start, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        with contextlib.suppress(ImageError):
            pipeline(read_image(path))
    return time.perf_counter() - start, time.process_time() - cpu


def differ(answer: Any, row: Any) -> str:
    """ "" for the same, "rounding" for a number that differs by one in its last digit, else "wrong"."""
    if answer == row:
        return ""
    if isinstance(answer, dict) and isinstance(row, dict) and answer.keys() == row.keys():
        kinds = {differ(answer[name], row[name]) for name in row}
    elif isinstance(answer, list) and isinstance(row, list) and len(answer) == len(row):
        kinds = {differ(one, other) for one, other in zip(answer, row, strict=True)}
    else:
        close = isinstance(answer, float) and isinstance(row, float) and abs(answer - row) <= _DIGIT
        kinds = {"rounding" if close else "wrong"}
    return "wrong" if "wrong" in kinds else "rounding" if "rounding" in kinds else ""


class Soak:
    """The clients, and what they saw."""

    def __init__(self, address: str, expected: dict[str, Any], process: int) -> None:
        self.place = urlsplit(address).netloc
        self.expected, self.process = expected, process
        self.statuses: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.memory: list[tuple[int, float]] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def ask(self, paths: list[Path]) -> None:
        connection = http.client.HTTPConnection(self.place, timeout=60)
        for path in paths:
            headers = {"Content-Type": "application/octet-stream"}
            connection.request("POST", f"/predict?name={quote(str(path))}", path.read_bytes(), headers)
            answer = connection.getresponse()
            rows = json.loads(answer.read())
            row = self.expected[str(path)]
            right = answer.status == (200 if row["error"] is None else 422)
            kind = differ(rows, [row]) if right else "wrong"
            with self.lock:
                self.statuses[answer.status] += 1
                self.kinds[kind or "equal"] += 1
                if kind == "wrong":
                    print(f"wrong: {path.name}: {answer.status} {str(rows)[:300]} instead of {str(row)[:300]}")
                done = sum(self.statuses.values())
                if done % 100 == 0:
                    self.memory.append((done, resident_mb(self.process)))
        connection.close()

    def drip(self) -> None:
        host, port = self.place.split(":")
        while not self.ended.is_set():
            try:
                with socket.create_connection((host, int(port)), timeout=5) as slow:
                    slow.sendall(b"POST /predict HTTP/1.1\r\n")
                    while not self.ended.wait(0.5):
                        slow.sendall(b"X-A: b\r\n")
            except OSError:
                continue


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(process: int) -> float:
    """CPU seconds of a process so far: fields 14 and 15 of /proc/PID/stat, behind the name in brackets."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=250, help="different ones")
    parser.add_argument("--drips", type=int, default=20, help="connections that never finish a request")
    parser.add_argument(
        "--processes", type=int, default=10, help="pictures for which agegender predict is started anew"
    )
    parser.add_argument("--model", default="accurate")
    asked = parser.parse_args()
    if memory_mb() is None or not Path("/proc/self/statm").exists():
        parser.error("the memory of a process is read from /proc, which this system lacks")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(Path(folder), asked.pictures)
        expected, seconds = predicted(paths, asked.model)
        unreadable = sum(row["error"] is not None for row in expected.values())
        print(f"{len(paths)} pictures, {unreadable} of them unreadable; model {asked.model}; {os.cpu_count()} cores")
        print(f"predict, as many at a time as cores: {len(paths) / seconds:.1f} pictures/s, with its start")
        alone, cpu = one_by_one(paths, asked.model)
        each = f"{len(paths) / alone:.1f} pictures/s, {1000 * cpu / len(paths):.1f} ms of CPU each"
        print(f"the same in Python, one after the other, without a start: {each}")
        start = time.perf_counter()
        for path in paths[: asked.processes]:
            predicted([path], asked.model)
        print(f"predict, a process each: {asked.processes / (time.perf_counter() - start):.2f} pictures/s")
        command = [AGEGENDER, "serve", "--port", "0", "--rate", "0", "--model", asked.model]
        with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            line = server.stderr.readline()
            soak = Soak(line.split()[-1], expected, server.pid)
            drips = [threading.Thread(target=soak.drip, daemon=True) for _ in range(asked.drips)]
            order = [paths[number % len(paths)] for number in range(asked.requests)]
            shares = [order[client :: asked.clients] for client in range(asked.clients)]
            clients = [threading.Thread(target=soak.ask, args=(share,)) for share in shares]
            start, cpu = time.perf_counter(), cpu_seconds(server.pid)
            for thread in [*drips, *clients]:
                thread.start()
            for thread in clients:
                thread.join()
            seconds = time.perf_counter() - start
            soak.ended.set()
            cpu = cpu_seconds(server.pid) - cpu
            alive = server.poll() is None
            server.send_signal(signal.SIGINT)
            rest = server.stderr.read()
    done = sum(soak.statuses.values())
    statuses = dict(sorted(soak.statuses.items()))
    each = f"{done / seconds:.1f} requests/s, {1000 * cpu / done:.1f} ms of CPU each"
    print(f"serve, {asked.clients} clients: {each}; statuses {statuses}")
    print(f"answers beside predict's: {dict(soak.kinds)}; the server {'lived' if alive else 'DIED'}")
    print("memory in MB after so many requests: " + ", ".join(f"{n}: {mb:.0f}" for n, mb in soak.memory))
    if "Traceback" in rest:
        print(rest)
    return 0 if alive and done == asked.requests and not soak.kinds["wrong"] and "Traceback" not in rest else 1


if __name__ == "__main__":
    sys.exit(main())
