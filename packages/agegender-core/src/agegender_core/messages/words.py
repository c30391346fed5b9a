"""Why something can't be reached, in words."""

from __future__ import annotations


def words_of(error: object) -> str:
    """The reason of an error of a connection, without addresses and paths of ours."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
