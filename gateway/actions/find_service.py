"""Find a service, as far as the caller may see it."""

from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Forbidden, NotFound


def visible_services(backends: Backends, caller: Caller) -> list[Deployed]:
    """Ordered by name."""
    return [deployed for deployed in backends.registry.all() if _visible(deployed, caller)]


def require_visible(backends: Backends, name: str, caller: Caller) -> Deployed:
    """Raises NotFound, also for a service that is not the caller's to know of."""
    deployed = backends.registry.get(name)
    if deployed is None or not _visible(deployed, caller):
        raise NotFound(f"there is no service {name!r}")
    return deployed


def require_owned(backends: Backends, name: str, caller: Caller) -> Deployed:
    """Raises NotFound, or Forbidden for one that the caller may use but not change."""
    deployed = require_visible(backends, name, caller)
    if not caller.admin and deployed.service.owner != caller.name:
        raise Forbidden(f"the service {name!r} is not yours to change")
    return deployed


async def current_service(backends: Backends, *, name: str, uid: str) -> Deployed | None:
    """That very service as it is now; None if it was deleted since, even if one of its name is back.

    Before it is said to be gone it is looked up where it is kept: another process may just have deployed it.
    Raises Unavailable.
    """
    deployed = backends.registry.get(name)
    if deployed is None or deployed.uid != uid:
        deployed = await backends.registry.look_up(name)
    return deployed if deployed is not None and deployed.uid == uid else None


def _visible(deployed: Deployed, caller: Caller) -> bool:
    service = deployed.service
    return (
        caller.admin
        or service.owner == caller.name
        or service.visibility == "public"
        or (service.visibility == "restricted" and caller.name in service.allowed_users)
    )
