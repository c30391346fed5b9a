"""Runs side by side: settings, progress, figures. Reads config.json and history.csv; imports no framework."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

from agegender_core.spelling import with_near_names
from agegender_train.files import is_locked
from agegender_train.runs.settings import Settings

State: TypeAlias = Literal["finished", "running", "stopped"]

FIGURES = (
    "val_loss",
    "age_mae",
    "interval_mae",
    "middle_mae",
    "middle_bias",
    "group_accuracy",
    "gender_accuracy",
)
"""Figures of the validation faces in history.csv; all but the loss are of `metrics.Scores.compute`."""

SORTS = (*FIGURES, "faces_per_second", "epochs", "run")
"""What a table of runs can be sorted by."""

_HIGHER_IS_BETTER = frozenset({"group_accuracy", "gender_accuracy", "faces_per_second", "epochs"})
_SHOWN_ALONE = frozenset({"model", "epochs"})


class NoRunError(ValueError):
    """A folder that is no run, or whose files are damaged."""


@dataclass(frozen=True, eq=False)
class Run:
    """A training run, read from its folder.

    Attributes:
        path: the folder.
        config: content of config.json.
        history: rows of history.csv, each number a float; ``None`` where there was nothing to measure.
        state: "finished" once the model is exported; "running" while a process is at work in the folder.
    """

    path: Path
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, float | None]]
    state: State

    @property
    def settings(self) -> Mapping[str, Any]:
        """The run's settings; see `settings.Settings`."""
        settings: Mapping[str, Any] = self.config["settings"]
        return settings

    @property
    def best(self) -> Mapping[str, float | None] | None:
        """The row of the epoch whose weights are exported; ``None`` before the end of the first."""
        if not self.history:
            return None
        name = self.settings.get("best_by", "val_loss")
        measured = [row for row in self.history if is_number(history_figure(row, name))]
        if not measured:
            return self.history[-1]
        return min(measured, key=lambda row: sort_key(name, history_figure(row, name)))

    def summary(self) -> dict[str, Any]:
        """One row of a table of runs.

        Returns:
            run: the folder; network; data: names of the stores; n_training and n_validation: faces; epochs: done;
            epochs_asked; best_epoch: counted from 1, ``None`` before the first; `FIGURES` of that epoch, ``None``
            where there is nothing to measure; faces_per_second: median over the epochs; state.
        """
        best = self.best or {}
        faces, speeds = self.config["faces"], [row.get("faces_per_second") for row in self.history]
        return {
            "run": str(self.path),
            "network": self.settings["model"],
            "data": [store["name"] for store in self.config["data"]],
            "n_training": faces["training"],
            "n_validation": faces["validation"],
            "epochs": len(self.history),
            "epochs_asked": self.settings["epochs"],
            "best_epoch": int(best["epoch"] or 0) if best else None,
            **{name: history_figure(best, name) for name in FIGURES},
            "faces_per_second": median(known) if (known := [speed for speed in speeds if speed is not None]) else None,
            "state": self.state,
        }


def history_figure(row: Mapping[str, float | None], name: str) -> float | None:
    """The figure `name` of `FIGURES` in a row of a history."""
    return row.get(name if name.startswith("val_") else f"val_{name}")


def is_number(value: float | None) -> bool:
    """Whether there is a value, and a finite one: the loss of a training that diverged isn't."""
    return value is not None and math.isfinite(value)


def sort_key(name: str, value: Any) -> tuple[bool, Any]:
    """The sort key of a value of the figure `name`: the best first, unknown values last."""
    if isinstance(value, str):
        return False, value
    if not is_number(value):
        return True, 0.0
    if name == "middle_bias":
        return False, abs(value)
    return False, -value if name in _HIGHER_IS_BETTER else value


def read_run(folder: Path | str) -> Run:
    """The run in a folder.

    Raises:
        NoRunError: the folder holds none, or its files are damaged.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        raise NoRunError(f"{folder} holds no run: it has no config.json; a run is made with: agegender train") from None
    except ValueError:
        raise NoRunError(f"{folder / 'config.json'} is damaged: it is no JSON") from None
    parts = {"settings": dict, "faces": dict, "data": list}
    if not isinstance(config, dict) or not all(isinstance(config.get(name), kind) for name, kind in parts.items()):
        raise NoRunError(f"{folder / 'config.json'} is no run's: it must have settings, faces and data")
    # As `runs.RunFolder` has it: the state to go on from goes when the model is whole.
    finished = (folder / "model.onnx").exists() and not (folder / "checkpoints" / "state.npz").exists()
    state: State = "running" if is_locked(folder) else "finished" if finished else "stopped"
    return Run(folder, config, _read_history(folder / "history.csv"), state)


def _read_history(path: Path) -> list[dict[str, float | None]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # A row still being written, or whose writer was killed, lacks columns.
    whole = [row for row in rows if None not in row and None not in row.values()]
    try:
        return [{name: float(value) if value else None for name, value in row.items()} for row in whole]
    except ValueError as error:
        raise NoRunError(f"{path} is damaged: {error}") from None


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The folders of runs: those of `paths` that are runs, and all runs at any depth in the others, in order of name.

    Raises:
        NoRunError: there is no such folder, or no run in it.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            raise NoRunError(f"{path} is no folder")
        below = [path] if (path / "config.json").exists() else list(_runs_below(path))
        if not below:
            raise NoRunError(f"{path} holds no run; a run is made with: agegender train")
        found |= dict.fromkeys(below)
    return list(found)


def _runs_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if "config.json" in files and ("checkpoints" in folders or "history.csv" in files):
            yield Path(place)
            folders.clear()
        folders.sort()


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each run, the settings in which not all of them agree, by name.

    Parts of a setting are named with a dot, as augmentation.flip; ``None`` where a run has no such part. A setting that
    a run's version didn't have counts as the default. The backend counts as a setting; network and number of epochs
    don't.
    """
    defaults = json.loads(json.dumps(asdict(Settings())))
    flat = [{**_flat({**defaults, **run.settings}), "backend": run.config.get("backend")} for run in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    differ = [name for name in names if any(one.get(name) != flat[0].get(name) for one in flat)]
    return [{name: one.get(name) for name in differ if name not in _SHOWN_ALONE} for one in flat]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def run_table(runs: Sequence[Run], sort: str = "run") -> list[dict[str, Any]]:
    """A row for each run: its `Run.summary`, and under "differs" its `differences` from the others.

    Args:
        runs: the runs to compare.
        sort: one of `SORTS`; the best comes first, runs without that figure last.

    Raises:
        ValueError: `sort` is none of them.
    """
    if sort not in SORTS:
        raise with_near_names(ValueError(f"sort must be one of {', '.join(SORTS)}, got {sort!r}"), sort, SORTS)
    rows = [{**run.summary(), "differs": differs} for run, differs in zip(runs, differences(runs), strict=True)]
    return sorted(rows, key=lambda row: sort_key(sort, row[sort]))
