"""The folder of a training run: its configuration, history, checkpoints and model."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agegender_core.files import replacing
from agegender_train.files import write_atomically
from agegender_train.runs.settings import Settings
from agegender_train.store import Store

_PACKAGES = (
    "agegender-core",
    "agegender-train",
    "keras",
    "tensorflow",
    "jax",
    "numpy",
    "opencv-python-headless",
    "onnx",
)

_QUIETLY: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 10, "check": True}


EXECUTION_SETTINGS = ("workers", "cache_bytes", "checkpoint_minutes", "tensorboard", "device")
"""Settings that may change while a run is stopped: its result doesn't depend on them, but for rounding."""


class RunFolder:
    """A run on disk: config.json, history.csv, history.png, checkpoints/, model.onnx.

    Args:
        path: of the folder.
        writes: whether this process writes it; in data-parallel training only one does.

    Raises:
        FileExistsError: the folder already holds a finished run.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.checkpoints = path / "checkpoints"
        self.state = self.checkpoints / "state.npz"
        self.model = path / "model.onnx"
        self._history = path / "history.csv"
        self._config = path / "config.json"
        self._refuse_finished()

    def begin(self, config: Mapping[str, Any]) -> None:
        """Writes config.json, or checks that a stopped run there has the same configuration.

        Raises:
            FileExistsError: there is a finished run, or one without a state to resume from.
            ValueError: there is a stopped run with other settings, data or backend.
        """
        self._refuse_finished()
        if not self._config.exists():
            if self.writes:
                self.checkpoints.mkdir(parents=True, exist_ok=True)
                write_atomically(self._config, config)
            return
        earlier = json.loads(self._config.read_bytes())
        if not (isinstance(earlier, dict) and "settings" in earlier and "data" in earlier):
            raise FileExistsError(f"{self._config} is not a run's: name another folder")
        differences = _differences(earlier, json.loads(json.dumps(config)))
        if differences:
            raise ValueError(
                f"{self.path} holds a stopped run with {'; '.join(differences)}: "
                "ask for the same to resume it, or name another folder"
            )
        if self._history.exists() and not self.state.exists():
            raise FileExistsError(f"{self.path} holds a run without a state to resume from; name another folder")

    def _refuse_finished(self) -> None:
        # The state is removed once the model is written.
        if self._config.exists() and self.model.exists() and not self.state.exists():
            raise FileExistsError(f"{self.path} already holds a run; name another folder, or delete it")
        own = (self.model, self._history, self.path / "history.png", self.checkpoints)
        if not self._config.exists() and (there := [path.name for path in own if os.path.lexists(path)]):
            raise FileExistsError(f"{self.path} holds {there[0]} and no run; name another folder")

    @staticmethod
    def best_of(epoch: int) -> str:
        """Name of the best epoch's checkpoint until `settle` makes it "best"."""
        return f".best-{epoch}"

    def save_model(self, name: str, model: Any) -> None:
        """Writes the checkpoint `name` of a Keras model as a whole or not at all."""
        if not self.writes:
            return
        with replacing(self.checkpoints / f"{name}.keras", f".tmp-{name}.keras", sync=True) as unfinished:
            model.save(unfinished)

    def settle(self, best_epoch: int, history: Sequence[Mapping[str, Any]]) -> None:
        """Makes all files of the run agree with the state saved last, wherever the process was killed since.

        Args:
            best_epoch: number of the best epoch, from 1.
            history: a row for each epoch.
        """
        if not self.writes:
            return
        pending = self.checkpoints / f"{self.best_of(best_epoch)}.keras"
        if pending.exists():
            pending.replace(self.checkpoints / "best.keras")
        for leftover in self.checkpoints.glob(".*"):
            leftover.unlink()
        if history:
            self._write_history(history)
            self.plot_history(history)

    def finish(self) -> None:
        """Removes the state, which marks the run as finished."""
        if self.writes:
            self.state.unlink(missing_ok=True)

    def _write_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        with io.StringIO(newline="") as text:
            writer = csv.DictWriter(text, list(history[0]))
            writer.writeheader()
            writer.writerows(history)
            write_atomically(self._history, text.getvalue().encode())

    def plot_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Draws history.png: loss, age error and gender accuracy by epoch."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        epochs = [row["epoch"] for row in history]
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        panels = {
            "Loss": ("loss", "val_loss"),
            "Age error (years)": ("val_interval_mae", "val_middle_mae", "val_age_mae"),
            "Gender accuracy": ("val_gender_accuracy",),
        }
        for axes, (title, names) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            for name in names:
                if any(row.get(name) is not None for row in history):
                    axes.plot(epochs, [row.get(name) for row in history], marker=".", label=name)
                    axes.legend(frameon=False)
            axes.set(title=title, xlabel="Epoch")
            axes.grid(alpha=0.3)
        with replacing(self.path / "history.png", ".history.tmp.png") as unfinished:
            figure.savefig(unfinished, dpi=110)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs in the configuration `old` from `new`, in words."""
    changed = changed_settings(old.get("settings", {}), new["settings"])
    found = [f"{name} {_words(before)}, not {_words(now)}" for name, (before, now) in changed.items()]
    for name in ("backend", "data", "faces", "spec", "parameters", "teachers"):
        if (old.get(name) or None) != (new.get(name) or None):
            found.append(f"{name} {_words(old.get(name))}, not {_words(new.get(name))}")
    return found


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings, other than `EXECUTION_SETTINGS`, whose values differ: by name, the old and the new value.

    Args:
        old: settings of a run's config.json; one that its version didn't have counts as the default.
        new: settings as a dict, see `dataclasses.asdict`.
    """
    defaults, wanted = json.loads(json.dumps([asdict(Settings()), new]))
    before = {**defaults, **old}
    changed = {name: (before[name], value) for name, value in wanted.items() if before[name] != value}
    return {name: values for name, values in changed.items() if name not in EXECUTION_SETTINGS}


def _words(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """The commit of the checkout that this package lies in, followed by "+" if files were changed; else ``None``."""
    folder, own = str(Path(__file__).parent), Path(__file__).name
    try:
        # An installed package may lie inside somebody else's repository.
        subprocess.run(["git", "-C", folder, "ls-files", "--error-unmatch", own], **_QUIETLY)
        describe = ["git", "-C", folder, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return str(subprocess.run(describe, **_QUIETLY).stdout).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def describe_data(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """The training data as in config.json: name, number of faces and fingerprint of each store."""
    return [{"name": store.name, "faces": len(store), "fingerprint": store.fingerprint} for store in stores]
