"""What a server takes from its clients: how much, how fast, and for how long."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

_REMEMBERED = 4096  # clients


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        max_bytes: of a request's body.
        max_pixels: of a picture, width times height.
        max_pictures: in a request.
        queue: pictures that wait; with more a request is refused with 503.
        held_bytes: of all bodies that are being received or wait; with more a request is refused with 503.
        rate: requests a second of one client, twice as many at once; 0 for any number. Refused with 429.
        answer_seconds: from the end of the body to the answer, then 504.
        body_seconds: for a whole body, then 408.
        idle_seconds: without a byte of the head or the body, or with nothing taken of the answer.
        connections: open at a time; others are refused with 503.
    """

    max_bytes: int = 32 * 2**20
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    queue: int = 64
    held_bytes: int = 256 * 2**20
    rate: float = 50.0
    answer_seconds: float = 30.0
    body_seconds: float = 60.0
    idle_seconds: float = 10.0
    connections: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "rate" else 1e-3 if name.endswith("seconds") else 1
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} must be a number of at least {least:g}, got {value}")


class RateLimit:
    """A token bucket a client.

    Args:
        rate: requests a second; a client that was quiet may send twice as many at once. 0: no limit.
        clock: seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._burst = max(2 * rate, 1.0)
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Takes one request of `client`, an IP address, into account: the seconds it is too early, 0 if it may come.

        A whole network of 64 bits counts as one client of IPv6, since every household has one.
        """
        if self._rate <= 0:
            return 0.0
        client, now = _network(client), self._clock()
        left, before = self._clients.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - before) * self._rate)
        taken = left >= 1
        self._clients[client] = left - taken, now
        while len(self._clients) > _REMEMBERED:
            self._clients.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
    return client


class ByteBudget:
    """How many bytes all requests hold together. To be used from one thread.

    Args:
        most: they may hold.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def take(self, count: int) -> bool:
        """Takes so many bytes into account if there is room."""
        if self.held + count > self.most:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """So many bytes are no longer held."""
        self.held -= count
