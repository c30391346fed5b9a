"""What a user did that cannot work, in one sentence and with a hint."""

from __future__ import annotations

import os
from importlib.util import find_spec


class UserError(Exception):
    """A mistake of the user's: shown as one sentence, with exit code 2.

    Args:
        message: what is wrong, with the path or value.
        hint: how to mend it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def require_train() -> None:
    """Raise UserError unless the training package is installed; what every command that trains or tests begins with."""
    # TensorFlow writes pages about the machine to stderr unless it is told before it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if find_spec("agegender_train") is None:
        raise UserError("this command needs the training package", hint="pip install 'agegender-cli[train]'")
