"""Print what a picture costs on this machine and on one and two Dask workers, and that the tables are the same.

    uv run python scripts/measure_dask.py train-1.zip --number 5000 --side 96

The pictures are repeated in the listing until there are enough. They are looked at by `agegender predict`'s own code:
by one thread here; by one worker; by two; and by two of which one is killed when half of the pictures are done. Workers
are processes of one thread, on loopback, and are there before the clock starts. `wall` is the time of the whole call,
`CPU` that of the processes that took part; both are divided by the number of pictures. The tables must be equal to the
last byte. The rest is for a reckoning: what a list of a million paths takes, what it takes to join parts to a table of
a million rows, and what names that lead to no picture cost on two workers: all but reading and looking.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import distributed
import numpy as np
import psutil

from agegender_cli.pictures import find_pictures
from agegender_core.cpus import cpu_name
from agegender_core.images import decode_image
from agegender_core.many.files import Files
from agegender_core.many.job import make_table
from agegender_core.many.listing import Listing, Part
from agegender_core.many.shards import Tally, shard_size
from agegender_core.many.table import encode_rows, join
from agegender_core.picture_rows import empty_row


def repeated(sources: list[str], number: int) -> Listing:
    """So many pictures: those of the sources, over and over."""
    found = find_pictures(sources, None, allow_urls=False).listing
    if not len(found):
        raise SystemExit(f"no pictures in {', '.join(sources)}")
    return Listing(found.parts * -(-number // len(found))).between(0, number)


def smaller(sources: list[str], number: int, side: int, target: Path) -> None:
    """Packs the first so many pictures into an archive, as JPEGs of a side in pixels."""
    with zipfile.ZipFile(target, "w") as packed:
        for n, item in enumerate(find_pictures(sources, None, allow_urls=False).listing.between(0, number)):
            reader = item.source.open()
            picture = cv2.resize(decode_image(reader.read(item.key)), (side, side), interpolation=cv2.INTER_AREA)
            reader.close()
            data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
            packed.writestr(f"{n:06}.jpg", data)


def million_names(folder: Path) -> str:
    """What a list of a million paths takes."""
    (folder / "list.txt").write_text("".join(f"photos/{n // 1000:04}/{n:07}.jpg\n" for n in range(10**6)))
    us, start = psutil.Process(), time.perf_counter()
    before = us.memory_info().rss
    found = find_pictures([], None, False, [str(folder / "list.txt")]).listing
    listed = time.perf_counter() - start
    held = us.memory_info().rss - before
    found.fingerprint()
    hashed = time.perf_counter() - start - listed
    letters = len(next(iter(found)).name)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    took = f"{most / 1e6:.0f} MB while it is read, in {listed:.1f} s; hashed in {hashed:.1f} s"
    return f"a list of {len(found):,} paths of {letters} letters: {held / 1e6:.0f} MB held, {took}"


def million_rows(folder: Path) -> str:
    """What it takes to join the parts of a table, of a thousand made-up rows each."""
    rng, parts = np.random.default_rng(1), [folder / f"{n}.parquet" for n in range(1000)]
    for n, path in enumerate(parts):
        path.write_bytes(encode_rows((made_up(n * 1000 + k, rng) for k in range(1000)), False, {}))
    start = time.process_time()
    join(parts, folder / "joined.parquet", False, {})
    cpu = time.process_time() - start
    sizes = sum(path.stat().st_size for path in parts) / 1e6, (folder / "joined.parquet").stat().st_size / 1e6
    return f"parts of a million rows, {sizes[0]:.0f} MB, joined to {sizes[1]:.0f} MB in {cpu:.1f} s of CPU"


def made_up(number: int, rng: np.random.Generator) -> dict[str, Any]:
    """A picture with a face."""
    numbers = [round(float(one), 2) for one in rng.uniform(0, 90, 12)]
    names = ("score", "age", "age_std", "p_male", "quality")
    face = dict(zip(names, numbers, strict=False)) | {"box": numbers[5:9], "age_interval": numbers[9:11]}
    row = empty_row(f"photos/{number // 1000:06}/{number:09}.jpg")
    return row | {"width": 1024, "height": 768, "faces": [face | {"gender": "female"}]}


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A part of Dask's, killed at the end."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def cpu_seconds(of: psutil.Process) -> float:
    """User and system time; 0 of a process that is gone."""
    try:
        times = of.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


class Run:
    """One way to make the table, timed.

    Args:
        folder: where the table goes.
        listing: the pictures.
        model: what looks at them.
        flip: whether it sees each face mirrored, too; ``None``: as the model asks.
    """

    def __init__(self, folder: Path, listing: Listing, model: str, flip: bool | None = None) -> None:
        self.folder, self.listing, self.model = folder, listing, model
        self.options = {"runtime": "onnxruntime", "flip": flip}

    def here(self) -> str:
        """By one thread of this process; the table's SHA-256."""
        return self._timed("here, one thread", None, [psutil.Process()], lambda done: None)

    def on_cluster(self, workers: int, kill: bool = False, of: str = "") -> str:
        """By workers; the table's SHA-256."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = f"tcp://127.0.0.1:{port}"
        with ExitStack() as stack:
            scheduler = stack.enter_context(process("dask_scheduler", "--host", "127.0.0.1", "--port", str(port)))
            options = ("--no-nanny", "--nthreads", "1", "--local-directory", str(self.folder))
            started = [stack.enter_context(process("dask_worker", address, *options)) for _ in range(workers)]
            with distributed.Client(address, set_as_default=False, timeout=30) as client:
                client.wait_for_workers(workers, timeout=60)

            def kill_once(done: int) -> None:
                if kill and done >= len(self.listing) // 2 and started[0].poll() is None:
                    started[0].send_signal(signal.SIGKILL)
                    started[0].wait()

            title = f"{workers} {'worker' if workers == 1 else 'workers'}{', one killed at half' if kill else of}"
            watched = [psutil.Process(), *(psutil.Process(one.pid) for one in (scheduler, *started))]
            return self._timed(title, address, watched, kill_once)

    def _timed(
        self, title: str, scheduler: str | None, watched: list[psutil.Process], progress: Callable[[int], None]
    ) -> str:
        output = self.folder / "faces.parquet"
        before, start = [cpu_seconds(one) for one in watched], time.perf_counter()
        tally = make_table(
            self.listing, output, model=self.model, options=self.options, scheduler=scheduler, progress=progress
        )
        wall = time.perf_counter() - start
        cpu = sum(max(0.0, cpu_seconds(one) - first) for one, first in zip(watched, before, strict=True))
        self._print(title, tally, wall, cpu, output.stat().st_size)
        digest = hashlib.sha256(output.read_bytes()).hexdigest()
        output.unlink()
        return digest

    @staticmethod
    def _print(title: str, tally: Tally, wall: float, cpu: float, size: int) -> None:
        rows = tally.faces + tally.without + tally.failed
        each = 1000 / tally.pictures
        print(
            f"{title:30} {wall:8.1f} s   wall {wall * each:6.2f} ms   CPU {cpu * each:6.2f} ms a picture   "
            f"{tally.faces} faces, {size / rows:.1f} bytes a row",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="measure_dask.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="pictures, as agegender predict takes them")
    parser.add_argument("--number", type=int, default=500, help="of pictures in the table (default: 500)")
    parser.add_argument("--distinct", type=int, default=2000, help="with --side: of different ones (default: 2000)")
    parser.add_argument("--side", type=int, help="make them so large first, in pixels")
    parser.add_argument("--model", default="fast", help="accurate, fast or tiny (default: fast)")
    parser.add_argument("--no-flip", action="store_true", help="don't look at faces mirrored, whatever the model asks")
    parser.add_argument("--only-two", action="store_true", help="leave out one worker, and two of which none is killed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = arguments.sources
        if arguments.side:
            smaller(sources, min(arguments.distinct, arguments.number), arguments.side, folder / "small.zip")
            sources = [str(folder / "small.zip")]
        listing = repeated(sources, arguments.number)
        size = shard_size(len(listing), images=False)
        print(f"{len(listing)} pictures in {-(-len(listing) // size)} shards of {size}; model {arguments.model}")
        print(f"{cpu_name()}, {psutil.cpu_count()} cores; Python {platform.python_version()}, {platform.system()}")
        print(million_names(folder))
        print(million_rows(folder))
        run = Run(folder, listing, arguments.model, False if arguments.no_flip else None)
        made = [run.here()]
        if not arguments.only_two:
            made += [run.on_cluster(1), run.on_cluster(2)]
        made.append(run.on_cluster(2, kill=True))
        same = len(set(made)) == 1
        nowhere = Listing([Part(Files(name), [f"none/{n}.jpg" for n in range(arguments.number)])])
        Run(folder, nowhere, arguments.model).on_cluster(2, of=", no pictures")
        print("all tables are equal to the last byte" if same else "THE TABLES DIFFER")
        return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
