"""Errors of the user's, each one sentence with a hint."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec


class UserError(Exception):
    """Something asked for cannot be done: shown as one sentence, with exit code 2.

    Args:
        message: what is wrong, with the path or value.
        hint: how to mend it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def hints(error: Exception) -> Sequence[str]:
    """How to mend it: a `UserError` says so, and others may in a note."""
    if isinstance(error, UserError):
        return [error.hint] if error.hint is not None else []
    return getattr(error, "__notes__", ())


def require_train() -> None:
    """Checks that the training package is installed; every command that trains or tests begins with it.

    Raises:
        UserError: it isn't.
    """
    # TensorFlow writes pages about the machine to stderr unless this is set before it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keep_matplotlib_out_of_the_home()
    if find_spec("agegender_train") is None:
        raise UserError(
            "this command needs the training package",
            hint="in a checkout of agegender: pip install packages/agegender-train (or uv sync, for all of it)",
        )


def keep_matplotlib_out_of_the_home() -> None:
    """Gives Matplotlib's list of fonts a place that goes when we end, unless it has one: it would make one at home."""
    home = os.path.expanduser("~")
    places = [os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "matplotlib")]
    places.append(os.path.join(home, ".matplotlib"))
    if "MPLCONFIGDIR" not in os.environ and not any(map(os.path.isdir, places)):
        folder = os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="agegender-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
