"""Files that are written as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agegender_core.files import write_bytes


def write_atomically(path: Path, content: bytes | Mapping[str, Any]) -> None:
    """Writes a file, a mapping as JSON, so that at any moment it is there as a whole or not at all.

    Raises:
        OSError: it couldn't be written; nothing of it is left.
    """
    if not isinstance(content, bytes):
        content = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    write_bytes(path, content)
