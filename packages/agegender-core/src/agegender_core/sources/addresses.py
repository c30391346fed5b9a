"""What sources are called: nothing secret is in a name, and a name can be a part of a file's."""

from __future__ import annotations

import re
from pathlib import Path

_SECRET = "user|login|pass|pwd|psw|pw|token|key|auth|secret|sig|session|cred|account"
# Cameras take them in the path, too: /user=admin_password=secret_channel=1.sdp
_NAME = rf"(?:^|(?<=[^A-Za-z]))[\w-]*?(?:{_SECRET})[\w-]*="
_ASSIGNED = re.compile(rf"({_NAME})((?:(?!_[A-Za-z]+=)[^&;#/\s])*)", re.IGNORECASE)


def is_url(source: str) -> bool:
    """Whether it begins as a URL does: ``rtsp://``, ``http://``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


def masked(url: str) -> str:
    """The URL without what may be a secret: all up to its last @, and values of user, password and the like."""
    scheme, mark, rest = url.partition("://")
    _, at, rest = rest.rpartition("@")
    shown = _ASSIGNED.sub(lambda found: f"{found[1]}***", rest)
    return f"{scheme}{mark}{'***@' if at else ''}{shown}"


def slug_of(name: str) -> str:
    """A name as a part of a file's: the stem of a path, the host and path of a URL."""
    address = name.partition("://")[2].rpartition("@")[2].partition("?")[0]
    text = address if is_url(name) else Path(name).stem or name
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "source"
