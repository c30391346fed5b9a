"""The two passes over a dataset: make shards of its pictures, then finish them without their near-duplicates."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import numpy as np

from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import MISSING_PICTURE
from agegender_train.duplicates.agreement import Label
from agegender_train.duplicates.near_duplicates import Dropped, find_near_duplicates, near_pairs
from agegender_train.files import Progress, write_atomically
from agegender_train.preprocessing.cleaning import check_label, find_duplicates
from agegender_train.preprocessing.cluster import Recipe, make_on_cluster
from agegender_train.preprocessing.losses import find_losses
from agegender_train.preprocessing.pictures import PreprocessSettings, Tools
from agegender_train.preprocessing.shards import SHARD_PICTURES, MadeShard, ShardTask, make_locally, make_shard
from agegender_train.preprocessing.workspace import Workspace
from agegender_train.store.chips import images_of

_LABELS = ("key", "face", "age_low", "age_high", "gender", "phash")


class _Stopped(Exception):  # noqa: N818
    """Ends the work on a shard whose result is no longer needed."""


class Making:
    """The making of one store's shards.

    Raises:
        RuntimeError: the reader gives an entry twice.
    """

    def __init__(
        self,
        entries: Sequence[Sample | Rejection],
        files: FileTree,
        workspace: Workspace,
        settings: PreprocessSettings,
        tools: Tools,
        near_duplicates: int | None,
        progress: Progress,
    ) -> None:
        if len({entry.key for entry in entries}) != len(entries):
            raise RuntimeError(f"the reader of {settings.dataset} gives a picture twice")
        self.count = -(-len(entries) // SHARD_PICTURES)
        """How many shards there are."""
        self._entries, self._files, self._workspace = entries, files, workspace
        self._settings, self._tools, self._near_duplicates = settings, tools, near_duplicates
        self._report = progress
        self._done = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._duplicates_file = workspace.out / "audit" / "duplicates.json"
        self._near_file = workspace.out / "audit" / "near-duplicates.json"

    def unfinished(self) -> list[int]:
        """The shards that are still to be finished."""
        if self._near_duplicates is not None and not self._near_file.exists():
            return list(range(self.count))  # what to drop isn't known from some of the shards
        return [index for index in range(self.count) if not self._workspace.is_finished(index)]

    def losses(self, age_groups: Sequence[tuple[float, float]]) -> list[str]:
        """What `find_losses` says of the finished shards."""
        rejections = [Rejection(*row) for part in self._workspace.parts(self.count) for row in part["rows"]]
        return find_losses(self._entries, rejections, age_groups)

    def run(self, unfinished: Sequence[int], workers: int, scheduler: str | None, recipe: Recipe | None) -> None:
        """Makes and finishes shards, with so many threads, or on the cluster of `scheduler` as `recipe` says."""
        with ThreadPoolExecutor(workers) as executor:
            try:
                self._make(
                    [index for index in unfinished if not self._workspace.is_made(index)],
                    executor,
                    workers,
                    scheduler,
                    recipe,
                )
                self._finish(unfinished, self._find_near_duplicates(executor))
            except BaseException:
                self._stop.set()  # else Ctrl-C would wait for whole shards
                executor.shutdown(cancel_futures=True)
                raise

    def _make(
        self,
        missing: Sequence[int],
        executor: ThreadPoolExecutor,
        workers: int,
        scheduler: str | None,
        recipe: Recipe | None,
    ) -> None:
        if not missing:
            return
        rejected = self._duplicates(executor)
        tasks = (
            ShardTask(index, [rejected.get(entry.key) or self._checked(entry) for entry in self._entries_of(index)])
            for index in missing
        )
        self._done = len(self._entries) - sum(len(self._entries_of(index)) for index in missing)
        self._tick(0)
        made: Generator[MadeShard]
        if scheduler is None or recipe is None:
            make = partial(make_shard, files=self._files, settings=self._settings, tools=self._tools, tick=self._tick)
            made = make_locally(tasks, make, executor, workers)
        else:
            made = make_on_cluster(tasks, recipe, scheduler)
        with closing(made):
            for shard in made:
                self._workspace.keep(shard)
                if recipe is not None:
                    self._tick(shard.part["pictures"])

    def _entries_of(self, index: int) -> Sequence[Sample | Rejection]:
        return self._entries[index * SHARD_PICTURES : (index + 1) * SHARD_PICTURES]

    def _tick(self, pictures: int = 1) -> None:
        if self._stop.is_set():
            raise _Stopped
        with self._lock:
            self._done += pictures
            self._report("faces", self._done, len(self._entries))

    def _checked(self, entry: Sample | Rejection) -> Sample | Rejection:
        if isinstance(entry, Rejection):
            return entry
        return check_label(entry) or (entry if entry.file in self._files else Rejection(entry.key, MISSING_PICTURE))

    def _duplicates(self, executor: ThreadPoolExecutor) -> dict[str, Rejection]:
        """Found once and kept in a file, so that to continue with a large dataset doesn't mean to read it all again."""
        if not self._duplicates_file.exists():
            samples = [entry for entry in self._entries if isinstance(entry, Sample)]
            found = find_duplicates(samples, self._files, executor, partial(self._report, "duplicates"))
            write_atomically(self._duplicates_file, {"rows": found})
        rows = json.loads(self._duplicates_file.read_bytes())["rows"]
        return {key: Rejection(key, reason, value) for key, reason, value in rows}

    def _find_near_duplicates(self, executor: ThreadPoolExecutor) -> list[Dropped]:
        """Found once and kept in a file, before the first shard is finished without them."""
        if self._near_duplicates is None:
            return []
        if not self._near_file.exists():
            found = self._look_for_near_duplicates(self._near_duplicates, executor)
            write_atomically(self._near_file, {"rows": found})
        return [Dropped(*row) for row in json.loads(self._near_file.read_bytes())["rows"]]

    def _look_for_near_duplicates(self, bits: int, executor: ThreadPoolExecutor) -> list[Dropped]:
        keys: list[str] = []
        faces: list[int] = []
        labels: list[Label] = []
        hashes = [np.empty(0, np.uint64)]
        for index in range(self.count):
            table = self._workspace.rows(index, _LABELS)
            if table is None:
                continue
            key, face, low, high, gender, phash = (table[name] for name in _LABELS)
            keys += key.to_pylist()
            faces += face.to_pylist()
            labels += map(Label, low.to_pylist(), high.to_pylist(), gender.to_pylist())
            hashes.append(phash.to_numpy())
        pairs = near_pairs(
            np.concatenate(hashes), self._chips, bits, self._workspace.scratch, executor, self._report_phase
        )
        return find_near_duplicates(keys, faces, labels, pairs)

    def _report_phase(self, phase: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._report(phase, done, total)

    def _chips(self) -> Iterator[list[bytes]]:
        for index in range(self.count):
            table = self._workspace.rows(index, ["image"])
            if table is not None:
                yield images_of(table)

    def _finish(self, unfinished: Sequence[int], dropped: Sequence[Dropped]) -> None:
        keys = {row.key for row in dropped}
        places = {entry.key: place for place, entry in enumerate(self._entries)} if keys else {}
        by_shard: dict[int, list[Dropped]] = defaultdict(list)
        for row in dropped:
            by_shard[places[row.key] // SHARD_PICTURES].append(row)
        for index in unfinished:
            self._workspace.finish(index, by_shard[index], places.__getitem__)
            self._report("finishing", self.count - len(unfinished) + unfinished.index(index) + 1, self.count)
