"""The gate: a call waits here until something can answer it, and is told why where nothing will."""

import asyncio
from dataclasses import dataclass

from gateway.backends.invoker.knative.fleet import Fleet
from gateway.domain.problems import TimedOut, Unavailable

ROLLOUT_S = 15.0
"""How long calls wait for a new revision before the one it replaces answers them still."""
LOOK_S = 0.5


@dataclass
class Patience:
    """How long something has to stand in the way to be believed: an instance's trouble may be a moment's (a
    first restart, a registry that hiccups), and a service that Knative calls failed may recover."""

    instance_s: float = 2.0
    service_s: float = 10.0
    _since: float | None = None
    _seen: float = 0.0

    def lost(self, now: float, *, instance: str, service: str = "") -> str:
        """What stands in the way for good, or "". To be asked again and again."""
        told = instance or service
        if not told:
            if now - self._seen > self.instance_s:
                self._since = None
            return ""
        self._seen = now
        self._since = self._since or now
        return told if now - self._since >= (self.instance_s if instance else self.service_s) else ""


async def pass_gate(fleet: Fleet, service: str, *, within_s: float, patience: Patience | None = None) -> None:
    """Returns at once where all is well. Raises Unavailable with the reason, TimedOut: nothing was
    executed."""
    kservice = fleet.kservice(service)
    if kservice is not None and kservice.ready == "True":
        return
    try:
        async with asyncio.timeout(within_s):
            await _wait(fleet, service, patience or Patience())
    except TimeoutError:
        why = fleet.trouble(service)
        told = why.text if why is not None else "no instance of it became ready"
        raise TimedOut(f"nothing was executed within {within_s:g} s: {told}") from None


async def _wait(fleet: Fleet, service: str, patience: Patience) -> None:
    loop = asyncio.get_running_loop()
    with fleet.changes(service) as changed:
        while not _may_pass(fleet, service):
            instance, failed = _in_the_way(fleet, service)
            told = patience.lost(loop.time(), instance=instance, service=failed)
            if told:
                if _served(fleet, service):
                    return
                raise Unavailable(f"the service cannot answer: {told}", retry_after_s=30)
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


def _in_the_way(fleet: Fleet, service: str) -> tuple[str, str]:
    """What keeps an instance of the newest revision from becoming ready, and why Knative calls the service
    failed; "" each.

    Knative says so too of a pod that no node takes, which is a matter of who else leaves: while there is one
    that may still come to something, its word is not taken.
    """
    kservice = fleet.kservice(service)
    if kservice is None:
        return "", ""
    newest = [one for one in fleet.instances(service) if one.revision == kservice.newest and not one.ready]
    lasting = [one.trouble.text for one in newest if one.trouble and one.trouble.lasting]
    if lasting:
        return lasting[-1], kservice.reason if kservice.ready == "False" else ""
    passing = any(one.trouble for one in newest)
    return "", kservice.reason if kservice.ready == "False" and not passing else ""
