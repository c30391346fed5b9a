"""Age bands, and how sure it is that an age lies in one."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

# A normal distribution has 90 % between its mean minus and plus so many standard deviations.
_HALF_OF_90 = 1.6449


@dataclass(frozen=True)
class AgeBands:
    """Age bands between edges in whole years: with (18, 65) they are 0-17, 18-64 and 65+.

    Args:
        edges: the first year of each band but the first, rising.

    Raises:
        ValueError: the edges are not whole years of 1 to 120 that rise.
    """

    edges: tuple[int, ...]

    def __post_init__(self) -> None:
        whole = all(type(edge) is int and 1 <= edge <= 120 for edge in self.edges)
        if not whole or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"the edges of age bands must be whole years that rise, got {list(self.edges)}")

    @property
    def names(self) -> list[str]:
        """All bands, youngest first."""
        return [self.name(place) for place in range(len(self.edges) + 1)]

    def name(self, place: int) -> str:
        """What the band of that number is called, as "18-64"."""
        low = 0 if place == 0 else self.edges[place - 1]
        if place == len(self.edges):
            return f"{low}+"
        high = self.edges[place] - 1
        return f"{low}-{high}" if high > low else str(low)

    def of(self, age: float) -> int:
        """The number of the band that holds an age in years."""
        return bisect_right(self.edges, age)

    def confidence(self, age: float, interval: tuple[float, float] | None) -> float | None:
        """How probable it is that the true age lies in the same band as `age`; in [0, 1].

        The age is taken to be distributed normally around the estimate, with as wide a side below and above as the 90 %
        interval has; ``None`` without an interval.
        """
        if interval is None:
            return None
        place = self.of(age)
        low = -math.inf if place == 0 else self.edges[place - 1]
        high = math.inf if place == len(self.edges) else self.edges[place]
        below = max(age - interval[0], 1e-6) / _HALF_OF_90
        above = max(interval[1] - age, 1e-6) / _HALF_OF_90
        return _half_normal((age - low) / below) + _half_normal((high - age) / above)


def _half_normal(deviations: float) -> float:
    return 0.5 * math.erf(deviations / math.sqrt(2))


DEFAULT_BANDS = AgeBands((10, 20, 30, 40, 50, 60, 70))
"""By decades; who is 70 or older is one band."""
