"""Routing: whether a call is answered directly or as a job, decided once, before a byte of it goes on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.domain.prefer import Preferences


class Route(StrEnum):
    DIRECT = "direct"
    """The invoker answers, on the connection the call came by."""
    JOB = "job"
    """It is accepted as a job; the connection is held for its result, or told where that will be."""


class Why(StrEnum):
    """The reason a client is told with its route."""

    SHORT = "short"
    """Nothing says that it will be long."""
    PREFERRED = "preferred"
    """The client prefers it: `respond-async`, or a `wait` that may be too short for a direct answer."""
    NO_BACKEND = "no-backend"
    """Nothing answers calls of this service directly."""
    SERVICE = "service"
    """The service has all its calls answered as jobs."""
    BODY = "body"
    """The body is over the direct limit."""
    EXPECTED = "expected"
    """The service says that it takes longer than the direct limit."""
    COLD = "cold"
    """Nothing of it runs, and calls that had to start it took longer than the direct limit."""
    RECENT = "recent"
    """Its recent calls took longer than the direct limit."""


@dataclass(slots=True)
class Signals:
    """All there is to decide from. Times are in seconds; None: not known."""

    preferences: Preferences
    body_bytes: int | None
    body_limit: int
    direct_limit_s: float
    expected_s: float | None
    """What the service says."""
    recent_s: float | None
    """What nine in ten of its recent calls did not pass."""
    absent: bool
    """Nothing answers calls of this service directly."""
    cold_s: float | None
    """The same of those that found nothing of it running; None also if something runs now."""


class Choice(NamedTuple):
    route: Route
    why: Why


DIRECT = Choice(Route.DIRECT, Why.SHORT)


def choose_route(signals: Signals) -> Choice:
    """The client's wish first, then what cannot be done directly, then what would take too long."""
    why = _wish(signals) or _obstacle(signals) or _length(signals)
    return DIRECT if why is None else Choice(Route.JOB, why)


def _wish(signals: Signals) -> Why | None:
    """A direct answer cannot be handed over once it is awaited: a client that waits for so long only gets one
    if it will be in time."""
    wait_s = signals.preferences.wait_s
    if wait_s is not None:
        known_s = _known_s(signals)
        if known_s is None or known_s > wait_s:
            return Why.PREFERRED
    return Why.PREFERRED if signals.preferences.respond_async else None


def _obstacle(signals: Signals) -> Why | None:
    if signals.absent:
        return Why.NO_BACKEND
    if signals.direct_limit_s == 0:
        return Why.SERVICE
    if signals.body_bytes is not None and signals.body_bytes > signals.body_limit:
        return Why.BODY
    return None


def _length(signals: Signals) -> Why | None:
    if (_known_s(signals) or 0.0) > signals.direct_limit_s:
        return Why.EXPECTED if signals.expected_s is not None else Why.RECENT
    return Why.COLD if (signals.cold_s or 0.0) > signals.direct_limit_s else None


def _known_s(signals: Signals) -> float | None:
    """What the service says goes before what was seen."""
    return signals.recent_s if signals.expected_s is None else signals.expected_s
