"""What is said of a picture as a whole: a row with its name, its size and its faces, or why it can't be used."""

from __future__ import annotations

from typing import Any

import cv2


def empty_row(name: str) -> dict[str, Any]:
    """The row of a picture of which nothing is known yet.

    Its keys: ``source`` (its name), ``error`` (why it can't be used, or ``None``), ``width`` and ``height`` (pixels, or
    ``None``), ``faces`` (as `face_records` gives them).
    """
    return {"source": name, "error": None, "width": None, "height": None, "faces": []}


def reason_of(error: Exception, name: str) -> str:
    """Why a picture can't be used, in words, without its name."""
    if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
        return "there is too little memory for it"
    if isinstance(error, cv2.error):
        return f"OpenCV: {error.err or error}"
    if isinstance(error, ValueError | OSError):
        return (getattr(error, "strerror", None) or str(error)).removeprefix(f"{name}: ")
    return f"internal error: {type(error).__name__}: {error}"
