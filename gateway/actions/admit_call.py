"""Admit a call: one caller's, and one service's, are bounded, so that nobody's slow ones slow the others.
What is over the bounds is refused at once."""

import asyncio

from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.problems import TooMany, Unavailable
from gateway.domain.rooms import Rooms

RETRY_S = 1
"""A place may be free by then: calls are short, or they are jobs."""


def admit_caller(backends: Backends, caller: str) -> None:
    """One of the caller's calls, until `backends.callers.leave`. Raises TooMany."""
    limit = backends.settings.caller_calls_limit
    if not backends.callers.enter(caller, places=limit):
        raise TooMany(
            f"{limit} of your calls are open, which is the limit (CALLER_CALLS_LIMIT); nothing was executed",
            retry_after_s=RETRY_S,
        )


async def admit_call(backends: Backends, deployed: Deployed, *, within_s: float) -> None:
    """A place among the service's direct calls, until `backends.services.leave` of its uid; waited for at
    most that long. Raises Unavailable; then nothing was executed."""
    settings, name = backends.settings, deployed.uid
    places = deployed.service.policy.calls_live or settings.service_calls_limit
    if not backends.services.enter(name, places=places):
        await _wait(backends.services, deployed, seats=settings.service_calls_waiting, within_s=within_s)


def admit_at_once(backends: Backends, deployed: Deployed, caller: str) -> bool:
    """A place for the caller and one among the service's direct calls, until `leave`; whether both were
    free."""
    settings = backends.settings
    if not backends.callers.enter(caller, places=settings.caller_calls_limit):
        return False
    places = deployed.service.policy.calls_live or settings.service_calls_limit
    if backends.services.enter(deployed.uid, places=places):
        return True
    backends.callers.leave(caller)
    return False


def leave(backends: Backends, deployed: Deployed, caller: str) -> None:
    backends.services.leave(deployed.uid)
    backends.callers.leave(caller)


async def _wait(rooms: Rooms, deployed: Deployed, *, seats: int, within_s: float) -> None:
    ours = asyncio.Event()
    if not rooms.wait(deployed.uid, ours.set, seats=seats):
        raise _full(deployed)
    try:
        async with asyncio.timeout(within_s):
            await ours.wait()
    except BaseException as error:
        if ours.is_set():
            rooms.leave(deployed.uid)
        else:
            rooms.give_up(deployed.uid, ours.set)
        if isinstance(error, TimeoutError):
            raise _full(deployed) from None
        raise


def _full(deployed: Deployed) -> Unavailable:
    name = deployed.service.name
    return Unavailable(
        f"too many calls of {name} are open (SERVICE_CALLS_LIMIT, or annotation oscar-gateway/calls-live); "
        "nothing was executed",
        retry_after_s=RETRY_S,
    )
