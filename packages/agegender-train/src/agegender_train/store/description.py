"""What a store says of itself: ``store.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agegender_train.store.schema import FORMAT


def read_description(path: Path) -> dict[str, Any] | None:
    """The content of a store's ``store.json``, finished or not; ``None`` where there is none.

    Raises:
        ValueError: it is there and no store's.
    """
    file = path / "store.json"
    if not file.exists():
        return None
    try:
        description = json.loads(file.read_bytes())
    except ValueError:
        description = None
    if not isinstance(description, dict) or "format" not in description:
        raise ValueError(f"{file} does not describe an aligned store")
    if description["format"] != FORMAT:
        raise ValueError(f"{path} is a store of format {description['format']}, this version reads format {FORMAT}")
    return description
