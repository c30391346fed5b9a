"""The option --plot: what it takes, and what it needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from .errors import UserError, keep_matplotlib_out_of_the_home


def check_plot(path: Path) -> None:
    """Checks that a plot can be drawn into that file, before the work begins. Raises UserError."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise UserError(f"--plot {path}: a plot is a .png or .svg file")
    if path.is_dir():
        raise UserError(f"--plot {path} is a folder", hint="Name a file in it.")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--plot {path}: there is no folder {path.parent}")
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs Matplotlib", hint="pip install matplotlib (the extra agegender-core[plots])")
    keep_matplotlib_out_of_the_home()
