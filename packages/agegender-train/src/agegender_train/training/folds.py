"""Cross-validation: a training for each fold of a split, and a report on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras

from agegender_train.files import folder_lock, no_progress
from agegender_train.runs.fold_report import FoldReport, fold_folders, write_fold_report
from agegender_train.runs.folder import changed_settings, describe_data
from agegender_train.runs.settings import Settings
from agegender_train.runs.table import NoRunError, read_run
from agegender_train.store import Store
from agegender_train.training.epochs import TrainingProgress
from agegender_train.training.loop import train


@dataclass(frozen=True)
class FoldProgress:
    """How far a cross-validation is.

    Attributes:
        fold: number of the fold in training.
        done: number of folds before it.
        folds: number of all folds.
        now: progress of its training; ``None`` for a fold that was finished in an earlier call.
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
    """For each fold, train a network on the other folds and validate it on this one; then report on all.

    Each fold is a run of its own in a folder of `out`. Finished folds are left as they are: after a stop, the same call
    resumes with what is missing.

    Args:
        stores: aligned stores, cut alike.
        out: folder of the runs; made if it is not there.
        settings: of every training; `split` names the split, `fold` must be ``None``.
        folds: of this split, at least two; see `splits.ready_folds`.
        progress: called after every step and every epoch, and for every fold that was finished before.

    Raises:
        ValueError: `out` holds something else, such as folds trained with other settings; or as `train`.
        OSError: another process works in `out`; or as `train`.
    """
    if settings.split is None or settings.fold is not None:
        raise ValueError(f"settings must have a split and no fold, got {settings.split!r} and {settings.fold!r}")
    out = Path(out)
    folders = fold_folders(out, folds)
    report = progress or no_progress
    with folder_lock(out):
        for done, (fold, folder) in enumerate(folders.items()):
            asked = replace(settings, fold=fold)
            if _is_finished(folder, asked, stores):
                report(FoldProgress(fold, done, len(folders), None))
                continue

            def report_fold(now: TrainingProgress, fold: int = fold, done: int = done) -> None:
                report(FoldProgress(fold, done, len(folders), now))

            # What Keras keeps of earlier folds would fill the memory.
            keras.utils.clear_session()
            train(stores, folder, asked, report_fold)
        return write_fold_report(out, {fold: read_run(folder) for fold, folder in folders.items()})


def _is_finished(folder: Path, asked: Settings, stores: Sequence[Store]) -> bool:
    try:
        run = read_run(folder)
    except NoRunError:
        return False
    if run.state != "finished":
        return False
    other = list(changed_settings(run.settings, asdict(asked)))
    if run.config["data"] != describe_data(stores):
        other.append("data")
    if other:
        raise ValueError(f"{folder} holds a run with other {', '.join(other)}: name another folder, or delete it")
    return True
