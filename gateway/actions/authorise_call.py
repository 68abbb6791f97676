"""Authorise a call or a job: the service's own 64-character token, or the credential of somebody who may
use it."""

import hmac

from gateway.actions.find_service import known_service, require_visible
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import TOKEN
from gateway.domain.deployed import Deployed
from gateway.domain.problems import NotFound, Unauthenticated

TOKEN_LENGTH = 64
"""By its length OSCAR's clients and servers tell a service token from any other."""


async def authorise_call(backends: Backends, name: str, authorization: str) -> tuple[Deployed, str]:
    """The service and in whose name it is called: the caller, or `token` for the bearer of the service's
    token.

    Compares in constant time. Raises Unauthenticated, NotFound, Forbidden, Unavailable.
    """
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() == "bearer" and len(credential) == TOKEN_LENGTH:
        return await _by_token(backends, name, credential), TOKEN
    caller = await backends.identity.caller(authorization)
    return await require_visible(backends, name, caller), caller.name


def admitted_by_token(backends: Backends, name: str, authorization: str) -> Deployed | None:
    """The service, if it is its own token that is brought: in constant time, from memory."""
    deployed = backends.registry.get(name)
    if deployed is None or authorization[:7].lower() != "bearer ":
        return None
    token, brought = deployed.service.token, authorization[7:]
    if len(brought) != TOKEN_LENGTH:
        return None
    right = hmac.compare_digest(token.encode(), brought.encode("utf-8", "replace"))
    return deployed if right else None


async def _by_token(backends: Backends, name: str, credential: str) -> Deployed:
    deployed = await known_service(backends, name)
    if deployed is None:
        raise NotFound(f"there is no service {name!r}")
    if not hmac.compare_digest(deployed.service.token.encode(), credential.encode("utf-8", "replace")):
        raise Unauthenticated("the token is not this service's")
    return deployed
