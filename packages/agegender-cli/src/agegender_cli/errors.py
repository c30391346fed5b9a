"""What a user did that cannot work, in one sentence and with a hint."""

from __future__ import annotations

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
    """Raise UserError unless the training package is installed."""
    if find_spec("agegender_train") is None:
        raise UserError("this command needs the training package", hint="pip install 'agegender-cli[train]'")
