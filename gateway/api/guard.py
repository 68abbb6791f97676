"""The guard: who may come to an endpoint. Every endpoint says which access it needs; there is no default
that lets anybody in."""

import hmac
from enum import StrEnum

from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.claim import read_claim
from gateway.domain.job import AttemptId
from gateway.domain.problems import Forbidden, Unauthenticated


class Access(StrEnum):
    PUBLIC = "public"
    """Anybody, without a credential."""
    ADMINISTRATOR = "administrator"
    """The administrator alone."""
    USER = "user"
    """Anybody the identity knows; what of it is theirs, its action decides."""
    SERVICE = "service"
    """The service's own token, or somebody who may use it: asked by `actions.authorise_call`."""
    CALL = "call"
    """The token of the call's service, or somebody who may use it: asked by `actions.find_job`."""
    EVENTS = "events"
    """The store's webhook, by its static token."""
    CLAIM = "claim"
    """The pod of one attempt, by its claim."""


NOBODY = Caller(name="", admin=False)


async def identify(backends: Backends, access: Access, authorization: str) -> Caller:
    """Who comes. Raises Unauthenticated, Forbidden, Unavailable."""
    match access:
        case Access.PUBLIC | Access.CALL:
            return NOBODY
        case Access.EVENTS:
            _require_events_token(backends.settings.events_token, authorization)
            return NOBODY
        case Access.CLAIM:
            return Caller(_claimed(backends, authorization), admin=False)
        case Access.USER | Access.SERVICE:
            return await backends.identity.caller(authorization)
        case Access.ADMINISTRATOR:
            return await _administrator(backends, authorization)


async def _administrator(backends: Backends, authorization: str) -> Caller:
    caller = await backends.identity.caller(authorization)
    if not caller.admin:
        raise Forbidden(
            "only the administrator may do this: users of an identity provider may call services, and follow "
            "and cancel their own jobs"
        )
    return caller


def _claimed(backends: Backends, authorization: str) -> AttemptId:
    """The attempt whose pod comes."""
    scheme, _, credential = authorization.partition(" ")
    claim = credential if scheme.lower() == "bearer" else ""
    return read_claim(backends.settings.claim_key, claim, now=backends.now())


def _require_events_token(token: str, authorization: str) -> None:
    """In constant time; nothing opens a route that no token was set for."""
    scheme, _, credential = authorization.partition(" ")
    right = hmac.compare_digest(credential.encode("utf-8", "replace"), token.encode("utf-8", "replace"))
    if not (token and right and scheme.lower() == "bearer"):
        raise Unauthenticated("the token is not the one of EVENTS_TOKEN")
