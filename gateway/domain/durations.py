"""Durations: how long a service's recent calls took, as a decayed histogram: small, and soon used to a new
pace."""

import math
from bisect import bisect_left
from dataclasses import dataclass, field

BOUNDS_S = tuple(0.125 * 2.0**step for step in range(21))
"""Upper bounds, doubling: an eighth of a second to a day and a half. What is longer counts as the last."""
MEMORY = 0.95
"""What a new observation leaves of the older ones' weight: about the last twenty count."""
ENOUGH = 2.5
"""Weight below which nothing is said: two observations are no habit."""
SHARE = 0.9
"""What is told is what so many of the recent calls did not pass."""


@dataclass(frozen=True, slots=True)
class Durations:
    """`weights` are one for each of `BOUNDS_S`."""

    weights: tuple[float, ...] = (0.0,) * len(BOUNDS_S)

    def with_one(self, took_s: float) -> "Durations":
        """After one more call of that duration."""
        place = min(bisect_left(BOUNDS_S, took_s), len(BOUNDS_S) - 1)
        return Durations(tuple(weight * MEMORY + (at == place) for at, weight in enumerate(self.weights)))

    def with_short(self, count: int) -> "Durations":
        """After `count` more calls that were shorter than the first bound."""
        faded = MEMORY**count
        weights = [weight * faded for weight in self.weights]
        weights[0] += (1.0 - faded) / (1.0 - MEMORY)
        return Durations(tuple(weights))

    def quantile(self, share: float) -> float | None:
        """A duration, in seconds, that `share` of the recent calls did not pass; None while too few are
        known. Never off by more than a factor of two: within a bucket its place is guessed."""
        total = math.fsum(self.weights)
        if total < ENOUGH:
            return None
        wanted, below = share * total, 0.0
        for bound, weight in zip(BOUNDS_S, self.weights, strict=True):
            if weight and below + weight >= wanted:
                return bound * math.pow(2.0, (wanted - below) / weight - 1)
            below += weight
        return BOUNDS_S[-1]


def read_durations(weights: object) -> Durations:
    """From what was kept. Anything but that many finite numbers, none negative, is nothing known."""
    if not isinstance(weights, list) or len(weights) != len(BOUNDS_S):
        return Durations()
    numbers = [weight for weight in weights if isinstance(weight, int | float) and 0 <= weight < math.inf]
    return Durations(tuple(map(float, numbers))) if len(numbers) == len(BOUNDS_S) else Durations()


@dataclass(slots=True)
class Learned:
    """The accounts of all services, and the names of those that changed since they were kept."""

    accounts: dict[str, "Recent"] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Recent:
    """The running account of one service. Short calls, which are many, cost a count each."""

    durations: Durations = Durations()
    long_s: float | None = None
    """What `SHARE` of the recent calls did not pass."""
    _short: int = field(default=0)

    def add(self, took_s: float) -> None:
        if took_s <= BOUNDS_S[0]:
            self._short += 1
            if self.long_s is not None and self.long_s <= BOUNDS_S[0]:
                return
        else:
            self.settle()
            self.durations = self.durations.with_one(took_s)
        self.settle()

    def settle(self) -> Durations:
        """Everything counted in."""
        if self._short:
            self.durations = self.durations.with_short(self._short)
            self._short = 0
        self.long_s = self.durations.quantile(SHARE)
        return self.durations
