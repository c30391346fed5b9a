"""From a dataset's pictures to an aligned store, in parallel, resumable, the same bytes every time."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from agegender_train.archives import FileTree
from agegender_train.datasets import Dataset, Rejection, Sample, get_dataset
from agegender_train.folder_lock import folder_lock
from agegender_train.preprocessing.cleaning import check_label, find_duplicates
from agegender_train.preprocessing.pictures import Boxes, Settings, Tools, default_tools
from agegender_train.preprocessing.shards import SHARD_PICTURES, ShardTask, is_done, make_shard, merge_parts, read_parts
from agegender_train.store import FORMAT, read_description, write_atomically


class Progress(Protocol):
    """Hears how far the work is; called from several threads, one at a time."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """`phase` is "duplicates" or "faces"; `done` of `total` pictures are through, earlier runs included."""


def preprocess(
    dataset: str | Dataset,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    boxes: Boxes = "detect-then-known",
    size: int = 140,
    padding: float = 0.4,
    detector_upsample: int = 0,
    landmarks: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    tools: Tools | None = None,
) -> dict[str, Any]:
    """Makes the aligned store `out` of a dataset, or goes on making it where an earlier call was stopped.

    The store's bytes depend on the source and on the settings alone, neither on `workers` nor on interruptions.

    Args:
        dataset: a reader or its name.
        source: the dataset's folder or archives, as its authors distribute them.
        out: the store's folder; it is made.
        boxes: where faces come from; see `Settings`.
        size: side of a chip in pixels.
        padding: margin round the face, as a part of the face's side.
        detector_upsample: how many times the picture is doubled before detection; each finds faces half as large.
        landmarks: a dlib 5-point model file instead of the built-in one.
        workers: threads; as many as there are CPUs when ``None``.
        limit: only so many of the pictures, from the first.
        progress: hears how far it is.
        tools: the detector, aligner and decoder, when they are not to be `agegender_core`'s.

    Returns:
        What is in ``audit.json``: counts of pictures, faces, kept rows and rejections by reason.

    Raises:
        ValueError: an argument is out of range, `out` was made with other settings, or `source` isn't the dataset.
        OSError: `source` can't be read, `out` can't be written, or another process is at work on it.
    """
    reader = get_dataset(dataset) if isinstance(dataset, str) else dataset
    settings = Settings(reader.name, boxes, size, padding, detector_upsample)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    workers = _cpus() if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    paths = [Path(path) for path in ([source] if isinstance(source, str | os.PathLike) else source)]
    out = Path(out)
    if any(out.resolve().is_relative_to(path.resolve()) for path in paths):
        raise ValueError(f"out must not lie inside the source, got {out}")
    files = FileTree.open(*paths)
    entries = list(islice(reader.samples(files), limit))
    tools = default_tools(settings, landmarks) if tools is None else tools
    job = _Job(entries, files, out, settings, tools, progress or _no_progress)
    description = _describe(settings, tools, paths, files) | {"limit": limit, "pictures": len(entries)}
    with folder_lock(out), _full_disk_explained(out):
        missing = job.missing()
        if not _begin(out, description) or missing:
            job.run(missing, workers)
            _finish(out, description, job.shards, files.shadowed)
        return json.loads((out / "audit.json").read_bytes())  # type: ignore[no-any-return]


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _no_progress(phase: str, done: int, total: int) -> None:
    pass


def _describe(settings: Settings, tools: Tools, paths: Sequence[Path], files: FileTree) -> dict[str, Any]:
    try:
        version = metadata.version("agegender-train")
    except metadata.PackageNotFoundError:
        version = "unknown"
    name = ", ".join(path.resolve().name for path in paths)
    return {
        "format": FORMAT,
        "complete": False,
        "dataset": settings.dataset,
        "chip_size": settings.chip_size,
        "chip_padding": settings.chip_padding,
        "boxes": settings.boxes,
        "detector_upsample": settings.detector_upsample,
        "min_face": settings.min_face,
        "landmarks_sha256": tools.landmarks_sha256,
        "version": version,
        "source": {"name": name, "files": len(files), "sha256": files.signature()},
    }


def _begin(out: Path, wanted: dict[str, Any]) -> bool:
    """Writes the description of a new store or compares it with the one there; true if the store is finished."""
    found = read_description(out)
    if found is None:
        if strangers := sorted(path.name for path in out.iterdir() if not path.name.startswith(".")):
            raise ValueError(f"{out} is no store and not empty (it holds {strangers[0]}): give another folder")
        write_atomically(out / "store.json", wanted)
    for name, value in wanted.items():
        if found is not None and name != "complete" and found.get(name) != value:
            if name == "source":
                raise ValueError(f"{out} was made from other files than {value['name']} holds now: give another folder")
            raise ValueError(
                f"{out} was made with {name} = {found.get(name)}, not {value}: give the same again, or another folder"
            )
    (out / "audit").mkdir(exist_ok=True)
    return found is not None and bool(found["complete"])


def _finish(out: Path, description: dict[str, Any], count: int, shadowed: int) -> None:
    parts = read_parts(out, count)
    audit = {"dataset": description["dataset"], **merge_parts(parts), "shadowed": shadowed}
    rejected = sum(audit["rejected"].values())
    if not audit["pictures"] == description["pictures"] == audit["kept"] + rejected:
        raise RuntimeError(
            f"{out}: of {description['pictures']} pictures {audit['kept']} were kept and {rejected} rejected; "
            "delete the store and make it anew"
        )
    write_atomically(out / "audit.json", audit)
    # The last step: from here on the store can be opened.
    shards = [part["shard"] for part in parts if part["kept"]]
    write_atomically(out / "store.json", {**description, "complete": True, "shards": shards})


@contextmanager
def _full_disk_explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = OSError(f"the disk of {out} is full: make room and run the same command again, it goes on from there")
        full.errno = error.errno
        raise full from error


class _Stopped(Exception):  # noqa: N818
    """Ends a shard whose result nobody waits for any more."""


class _Job:
    """The making of one store's shards."""

    def __init__(
        self,
        entries: Sequence[Sample | Rejection],
        files: FileTree,
        out: Path,
        settings: Settings,
        tools: Tools,
        progress: Progress,
    ) -> None:
        keys = {entry.key for entry in entries}
        if len(keys) != len(entries):
            raise RuntimeError(f"the reader of {settings.dataset} gives a picture twice")
        self.entries, self.files, self.out, self.settings, self.tools = entries, files, out, settings, tools
        self.shards = -(-len(entries) // SHARD_PICTURES)
        self._progress = progress
        self._done = len(entries)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def missing(self) -> list[int]:
        """The shards that are still to be made."""
        return [index for index in range(self.shards) if not is_done(self.out, index)]

    def run(self, missing: Sequence[int], workers: int) -> None:
        """Makes the `missing` shards with so many threads; at most one shard more is in memory at any moment."""
        self._done -= sum(len(self._entries_of(index)) for index in missing)
        with ThreadPoolExecutor(workers) as executor:
            try:
                rejected = self._duplicates(executor)
                self._tick(0)
                running: set[Future[None]] = set()
                for index in missing:
                    entries = [rejected.get(entry.key) or _checked(entry) for entry in self._entries_of(index)]
                    task = ShardTask(index, entries, self.files, self.out, self.settings)
                    running.add(executor.submit(make_shard, task, self.tools, self._tick))
                    if len(running) > workers:
                        finished, running = wait(running, return_when=FIRST_COMPLETED)
                        _raise_first(finished)
                while running:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    _raise_first(finished)
            except BaseException:
                self._stop.set()  # else Ctrl-C would wait for whole shards
                executor.shutdown(cancel_futures=True)
                raise

    def _entries_of(self, index: int) -> Sequence[Sample | Rejection]:
        return self.entries[index * SHARD_PICTURES : (index + 1) * SHARD_PICTURES]

    def _tick(self, pictures: int = 1) -> None:
        if self._stop.is_set():
            raise _Stopped
        with self._lock:
            self._done += pictures
            self._progress("faces", self._done, len(self.entries))

    def _duplicates(self, executor: ThreadPoolExecutor) -> dict[str, Rejection]:
        """Found once and kept in a file: to go on with a large dataset must not mean to read it all again."""
        file = self.out / "audit" / "duplicates.json"
        if not file.exists():
            samples = [entry for entry in self.entries if isinstance(entry, Sample)]
            found = find_duplicates(samples, self.files, executor, lambda *n: self._progress("duplicates", *n))
            write_atomically(file, {"rows": found})
        rows = json.loads(file.read_bytes())["rows"]
        return {key: Rejection(key, reason, value) for key, reason, value in rows}


def _checked(entry: Sample | Rejection) -> Sample | Rejection:
    return entry if isinstance(entry, Rejection) else check_label(entry) or entry


def _raise_first(finished: Iterable[Future[None]]) -> None:
    for future in finished:
        future.result()
