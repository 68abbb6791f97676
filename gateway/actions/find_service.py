"""Find a service, as far as the caller may see it."""

from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Forbidden, NotFound

LOOK_UPS = 4
"""At the same time, of services that memory does not know: whoever asks for them may be a stranger."""


def visible_services(backends: Backends, caller: Caller) -> list[Deployed]:
    """Ordered by name."""
    return [deployed for deployed in backends.registry.all() if _visible(deployed, caller)]


async def known_service(backends: Backends, name: str) -> Deployed | None:
    """From memory; before it is said not to be there, it is looked up where it is kept: another process may
    just have deployed it. With `LOOK_UPS` under way memory's word stands. Raises Unavailable."""
    deployed = backends.registry.get(name)
    if deployed is None and backends.look_ups.enter("", places=LOOK_UPS):
        try:
            deployed = await backends.registry.look_up(name)
        finally:
            backends.look_ups.leave("")
    return deployed


async def require_visible(backends: Backends, name: str, caller: Caller) -> Deployed:
    """As `known_service`. Raises NotFound, also for a service that is not the caller's to know of,
    Unavailable."""
    return _shown(name, await known_service(backends, name), caller)


async def require_current(backends: Backends, name: str, caller: Caller) -> Deployed:
    """As it stands where it is kept: who changed it a moment ago, by any process, sees that. Raises as
    `require_visible`."""
    return _shown(name, await backends.registry.look_up(name), caller)


async def require_owned(backends: Backends, name: str, caller: Caller) -> Deployed:
    """As it stands where it is kept. Raises NotFound, Unavailable, or Forbidden for one that the caller may
    use but not change."""
    deployed = await require_current(backends, name, caller)
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


def _shown(name: str, deployed: Deployed | None, caller: Caller) -> Deployed:
    if deployed is None or not _visible(deployed, caller):
        raise NotFound(f"there is no service {name!r}")
    return deployed


def _visible(deployed: Deployed, caller: Caller) -> bool:
    service = deployed.service
    return caller.may_see(
        owner=service.owner, visibility=service.visibility, allowed_users=service.allowed_users
    )
