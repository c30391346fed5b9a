"""Cross-validation: a training for each fold of a split, and what they say together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from agegender_train.files import folder_lock
from agegender_train.runs.fold_report import FoldReport, fold_folders, write_fold_report
from agegender_train.runs.folder import describe_data
from agegender_train.runs.settings import Settings
from agegender_train.runs.table import NoRunError, Run, read_run
from agegender_train.store import Store
from agegender_train.training.epochs import TrainingProgress
from agegender_train.training.loop import train

_NO_MATTER = ("device", "workers", "cache_bytes", "checkpoint_minutes", "tensorboard")
"""Settings that may be others when a cross-validation goes on: they change how a network is trained, not to what."""


@dataclass(frozen=True)
class FoldProgress:
    """Where a cross-validation stands.

    Attributes:
        fold: which one is trained now.
        done: number of folds before it.
        folds: of the whole.
        now: where its training stands; ``None`` for a fold that was finished before.
    """

    fold: int
    done: int
    folds: int
    now: TrainingProgress | None


def cross_validate(
    stores: Sequence[Store],
    out: Path | str,
    settings: Settings,
    folds: Sequence[int],
    progress: Callable[[FoldProgress], None] | None = None,
) -> FoldReport:
    """Train a network for each fold, without it and validated on it, and put their figures together.

    Each fold is a run of its own, in a folder of `out`. Those that are finished are left as they are: after a stop,
    the same call goes on with what is missing.

    Args:
        stores: aligned stores, cut alike.
        out: folder of the runs; made if it is not there.
        settings: of every training; `split` says by which split, `fold` must not be given.
        folds: of this split, at least two; see `splits.ready_folds`.
        progress: called after every step and every epoch, and for every fold that needs no training.

    Raises:
        ValueError: there is something else in `out`, such as folds that were trained otherwise; or as of `train`.
        OSError: another process is at work in `out`.
    """
    if settings.split is None or settings.fold is not None:
        raise ValueError(f"settings must have a split and no fold, got {settings.split!r} and {settings.fold!r}")
    out = Path(out)
    folders = fold_folders(out, folds)
    tell = progress or (lambda _: None)
    with folder_lock(out):
        for done, (fold, folder) in enumerate(folders.items()):
            asked = replace(settings, fold=fold)
            if _is_finished(folder, asked, stores):
                tell(FoldProgress(fold, done, len(folders), None))
                continue

            def told(now: TrainingProgress, fold: int = fold, done: int = done) -> None:
                tell(FoldProgress(fold, done, len(folders), now))

            # What Keras keeps of the folds before would fill the memory.
            keras.utils.clear_session()
            train(stores, folder, asked, told)
        return write_fold_report(out, {fold: read_run(folder) for fold, folder in folders.items()})


def _is_finished(folder: Path, asked: Settings, stores: Sequence[Store]) -> bool:
    try:
        run = read_run(folder)
    except NoRunError:
        return False
    if run.state != "finished":
        return False
    if other := _otherwise(run, asked, stores):
        raise ValueError(f"{folder} holds a run with other {', '.join(other)}: name another folder, or delete it")
    return True


def _otherwise(run: Run, asked: Settings, stores: Sequence[Store]) -> list[str]:
    """What a run was made with that is now asked otherwise."""
    wanted: dict[str, Any] = json.loads(json.dumps(asdict(asked)))
    names = [name for name in wanted if name not in _NO_MATTER and run.settings.get(name) != wanted[name]]
    return names if run.config["data"] == describe_data(stores) else [*names, "data"]
