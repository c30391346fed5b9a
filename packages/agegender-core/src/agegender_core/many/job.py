"""A table of all faces in many pictures, made shard by shard: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from agegender_core.files import replacing, write_bytes
from agegender_core.locks import folder_lock
from agegender_core.pipeline import Pipeline

from .cluster import map_on_cluster, worker_address
from .listing import Listing
from .shards import MadeShard, Recipe, ShardTask, Tally, make_shard, pipeline_of, shard_size
from .table import join, read_about

_FORMAT = 1
_JOB = "job.json"


def make_table(
    listing: Listing,
    output: Path,
    *,
    model: str | Path | None = None,
    options: dict[str, Any] | None = None,
    images: bool = False,
    scheduler: str | None = None,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Writes `output`, a Parquet file with a row a face, and a row for each picture without one.

    Each shard becomes a file in the folder ``NAME.parts`` beside `output`. When all are there, they are joined in the
    order of the pictures, and the folder goes. After a stop the same call does what is missing. Equal calls give equal
    files, on this machine or on a cluster, on CPUs of one kind.

    Args:
        listing: the pictures.
        output: the file.
        model: a model file, or the name of one that comes with the package.
        options: of `Pipeline.for_pictures`.
        images: also a column with each face, cut out and aligned.
        scheduler: address of a Dask scheduler whose workers do the work; they read the pictures themselves. The model
            file is sent to them.
        workers: without a scheduler, so many pictures are in work at a time.
        progress: called with the number of pictures that are done.

    Returns:
        What is in the table.

    Raises:
        FileExistsError: `output`, or the folder with its parts, is there and is of something else.
        OSError: something can't be read or written; another process makes this table; and what `map_on_cluster` raises.
        ValueError: Dask isn't installed, or an option is wrong.
    """
    recipe, model_path = Recipe.of(model, options or {}, images)
    # What is wrong with the model or an option is said before anything is written.
    content = model_path.read_bytes() if scheduler is not None and recipe.model is None else None
    pipeline = Pipeline.for_pictures(recipe.model or model_path, **dict(recipe.options))
    key = _key(listing, recipe)
    done = _finished(output, key)
    if done is not None:
        progress(done.pictures)
        return done
    parts = output.with_name(f"{output.name}.parts")
    _check(parts, output, key)
    size = shard_size(len(listing), images)
    starts = range(0, len(listing), size)
    paths = [parts / f"part-{index:06}.parquet" for index in range(len(starts))]
    with folder_lock(parts), _taken_away_if_empty(parts, paths):
        write_bytes(parts / _JOB, (json.dumps({"key": key, "output": output.name}) + "\n").encode())
        tallies = {index: tally for index, path in enumerate(paths) if (tally := _tally(path, key, index)) is not None}
        missing = (
            ShardTask(index, listing.between(start, start + size), key)
            for index, start in enumerate(starts)
            if index not in tallies
        )
        before = sum(tally.pictures for tally in tallies.values())
        progress(before)
        counted = _Counted(before, progress)
        made = (
            _made_here(missing, recipe, pipeline, workers, counted)
            if scheduler is None
            else _made_there(missing, recipe, content, scheduler, listing, size, counted)
        )
        with closing(made):
            for shard in made:
                write_bytes(paths[shard.index], shard.content)
                tallies[shard.index] = shard.tally
        total = sum((tallies[index] for index in range(len(paths))), Tally())
        with replacing(output, sync=True) as unfinished:
            join(paths, unfinished, images, {"key": key, **vars(total)})
    _remove(parts, paths)
    return total


@contextmanager
def _taken_away_if_empty(parts: Path, paths: Sequence[Path]) -> Iterator[None]:
    """Where the block fails before there is a part, the folder goes: there is nothing to go on from."""
    try:
        yield
    except BaseException:
        if not any(path.exists() for path in paths):
            with suppress(OSError):  # such as of the lock, which some systems keep while it is open
                _remove(parts, ())
        raise


class _Counted:
    """Counts pictures, those of earlier runs included."""

    def __init__(self, done: int, progress: Callable[[int], None]) -> None:
        self._done, self._progress = done, progress

    def __call__(self, pictures: int = 1) -> None:
        self._done += pictures
        self._progress(self._done)


def _made_here(
    tasks: Iterable[ShardTask], recipe: Recipe, pipeline: Pipeline, workers: int, counted: _Counted
) -> Generator[MadeShard, None, None]:
    for task in tasks:
        yield make_shard(task, recipe, pipeline, workers, counted)


def _made_there(
    tasks: Iterable[ShardTask],
    recipe: Recipe,
    model: bytes | None,
    scheduler: str,
    listing: Listing,
    size: int,
    counted: _Counted,
) -> Generator[MadeShard, None, None]:
    work = partial(_make_there, recipe=recipe)
    with closing(map_on_cluster(work, tasks, scheduler, "agegender-core[dask]", model)) as shards:
        for shard in shards:
            if shard.missing is not None:
                _check_missing(listing, shard.index * size + shard.missing)
            counted(shard.tally.pictures)
            yield shard


def _make_there(task: ShardTask, model: bytes | None = None, *, recipe: Recipe) -> MadeShard:
    """Makes one shard, on a worker."""
    from .shards import versions

    worker = worker_address()
    for (name, wanted), (_, found) in zip(recipe.versions, versions(), strict=True):
        if found != wanted:
            raise OSError(
                f"Dask worker {worker} has {name} {found or '(not installed)'}, and here it is "
                f"{wanted or 'not installed'}: the rows would depend on who made them"
            )
    try:
        pipeline = pipeline_of(recipe, model)
    except (OSError, ValueError) as error:
        raise OSError(f"Dask worker {worker} can't load the model: {error}") from None
    return make_shard(task, recipe, pipeline)


def _check_missing(listing: Listing, number: int) -> None:
    """Raises OSError where a worker did not find a picture that is here: it would be called missing in the table."""
    (item,) = listing.between(number, number + 1)
    if item.source.exists(item.key):
        raise OSError(
            f"a Dask worker can't read {item.name}, which is there for this machine: all of them must find the "
            "pictures under the same path"
        )


def _key(listing: Listing, recipe: Recipe) -> str:
    """SHA-256, in hex, of all that decides about the rows, but for the pictures' content."""
    about = [_FORMAT, listing.fingerprint(), recipe.options, recipe.model_sha256, recipe.images, recipe.versions]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _finished(output: Path, key: str) -> Tally | None:
    """What is in `output` where it is the table that is asked for, and ``None`` where there is none."""
    if not output.exists():
        return None
    about = read_about(output)
    if about is None or about.get("key") != key:
        what = "holds no table of agegender's" if about is None else "holds other pictures, or is of another run"
        error = FileExistsError(f"{output} is there, and {what}")
        error.add_note("Choose another name, or move it away.")
        raise error
    return Tally(**{name: about[name] for name in vars(Tally())})


def _check(parts: Path, output: Path, key: str) -> None:
    """Raises FileExistsError where the folder is of another run, or of somebody else."""
    if not parts.exists() or not any(one.name != ".lock" for one in parts.iterdir()):
        return
    try:
        of = json.loads((parts / _JOB).read_bytes())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        of = None
    if of != key:
        error = FileExistsError(
            f"{parts} holds the parts of another run: other pictures, options, models or versions"
            if of
            else f"{parts} is where the parts of {output.name} go, and holds something else"
        )
        error.add_note("Choose another name, or move it away.")
        raise error


def _tally(path: Path, key: str, index: int) -> Tally | None:
    """What is in a part; ``None`` where it isn't there, is of another run, or is no whole file."""
    about = read_about(path) if path.exists() else None
    if about is None or (about.get("key"), about.get("index")) != (key, index):
        return None
    return Tally(**{name: about[name] for name in vars(Tally())})


def _remove(parts: Path, paths: Iterable[Path]) -> None:
    """Removes what was made there, and the folder unless it holds something else."""
    for path in (*paths, *parts.glob(".part-*.tmp"), parts / _JOB, parts / ".lock"):
        path.unlink(missing_ok=True)
    if not any(parts.iterdir()):
        parts.rmdir()
