"""The folder of a training run: what was asked, how it went, and what came out."""

from __future__ import annotations

import csv
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agegender_train.store import Store, write_atomically

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


class RunFolder:
    """A run on disk: config.json, history.csv, history.png, checkpoints/, model.onnx.

    Raises:
        FileExistsError: the folder already holds a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.onnx"
        self._history = path / "history.csv"
        if (path / "config.json").exists():
            raise FileExistsError(f"{path} already holds a run; name another folder, or delete it")
        self.checkpoints.mkdir(parents=True, exist_ok=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Writes config.json."""
        write_atomically(self.path / "config.json", config)

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """Appends a row to history.csv; the first row names the columns."""
        new = not self._history.exists()
        with self._history.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

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
        temporary = self.path / ".history.tmp.png"
        figure.savefig(temporary, dpi=110)
        temporary.replace(self.path / "history.png")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """The commit that this package's source is checked out at, with "+" after it if files were changed; or ``None``."""
    folder, own = str(Path(__file__).parent), Path(__file__).name
    try:
        # An installed package may lie inside somebody else's repository.
        subprocess.run(["git", "-C", folder, "ls-files", "--error-unmatch", own], **_QUIETLY)
        describe = ["git", "-C", folder, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return str(subprocess.run(describe, **_QUIETLY).stdout).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def describe_data(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """What was trained on: name, number of faces and fingerprint of each store."""
    return [{"name": store.name, "faces": len(store), "fingerprint": store.fingerprint} for store in stores]
