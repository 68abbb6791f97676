"""The gate: a call waits here until something can answer it, and is told why where nothing will."""

import asyncio

from gateway.backends.invoker.knative.fleet import Fleet
from gateway.domain.problems import TimedOut, Unavailable

PATIENCE_S = 2.0
"""What keeps an instance from working may be a moment's: the first look at an image, a first restart."""
ROLLOUT_S = 15.0
"""How long calls wait for a new revision before the one it replaces answers them still."""
LOOK_S = 0.5


async def pass_gate(fleet: Fleet, service: str, *, within_s: float) -> None:
    """Returns at once where all is well. Raises Unavailable with the reason, TimedOut: nothing was
    executed."""
    kservice = fleet.kservice(service)
    if kservice is not None and kservice.ready == "True":
        return
    try:
        async with asyncio.timeout(within_s):
            await _wait(fleet, service)
    except TimeoutError:
        why = fleet.trouble(service)
        told = why.text if why is not None else "no instance of it became ready"
        raise TimedOut(f"nothing was executed within {within_s:g} s: {told}") from None


async def _wait(fleet: Fleet, service: str) -> None:
    loop = asyncio.get_running_loop()
    troubled_since: float | None = None
    with fleet.changes(service) as changed:
        while not _may_pass(fleet, service):
            trouble = _hopeless(fleet, service)
            if trouble:
                troubled_since = troubled_since or loop.time()
                if loop.time() - troubled_since >= PATIENCE_S:
                    if _served(fleet, service):
                        return
                    raise Unavailable(f"the service cannot answer: {trouble}", retry_after_s=30)
            else:
                troubled_since = None
            changed.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await changed.wait()
            except TimeoutError:
                fleet.require_seeing()


def _may_pass(fleet: Fleet, service: str) -> bool:
    kservice = fleet.kservice(service)
    if kservice is None:
        return False
    if kservice.ready == "True":
        return True
    return _served(fleet, service) and fleet.unready_s(service) > ROLLOUT_S


def _served(fleet: Fleet, service: str) -> bool:
    """Whether an older revision answers meanwhile."""
    kservice = fleet.kservice(service)
    return kservice is not None and kservice.routed and bool(kservice.serving)


def _hopeless(fleet: Fleet, service: str) -> str:
    """Why the newest revision will not become ready, or ""."""
    kservice = fleet.kservice(service)
    if kservice is None:
        return ""
    for one in fleet.instances(service):
        if one.revision == kservice.newest and not one.ready and one.trouble and one.trouble.lasting:
            return one.trouble.text
    return kservice.reason if kservice.ready == "False" else ""
