"""Addresses of receivers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit


class Address(NamedTuple):
    """What an address says of where to connect.

    Attributes:
        parts: all of it.
        host: a name or number, in lower case.
        port: ``None`` where it is not given.
        shown: scheme, host and port, without credentials and path.
    """

    parts: SplitResult
    host: str
    port: int | None
    shown: str


def address_of(url: str, schemes: Sequence[str]) -> Address:
    """Takes an address apart.

    Raises:
        ValueError: it has another scheme, or no host or port that can be; the message doesn't repeat it, since it may
            hold secrets.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
        if port == 0:
            raise ValueError
    except ValueError:
        raise ValueError("the address has no valid host and port") from None
    if parts.scheme not in schemes or not host:
        raise ValueError(f"the address must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host")
    bracketed = f"[{host}]" if ":" in host else host
    return Address(parts, host, port, f"{parts.scheme}://{bracketed}{'' if port is None else f':{port}'}")
