"""Run a service: one call, answered on the connection it came by; it leaves no trace in the ledger."""

import itertools
import secrets
from contextlib import AbstractAsyncContextManager

from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Call, Reply
from gateway.domain.body import Body
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers

_LIFE = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def call_limit(backends: Backends, deployed: Deployed) -> float:
    """How long a call of it may take, seconds."""
    return deployed.service.policy.call_limit_s or backends.settings.call_limit_s


def run_service(
    backends: Backends, deployed: Deployed, body: Body, *, headers: Headers, query: bytes, raw: bool
) -> AbstractAsyncContextManager[Reply]:
    """The reply, while its context is open; leaving early ends the script. Raises what `Invoker.invoke`
    raises."""
    return backends.invoker.invoke(new_call(backends, deployed, body, headers=headers, query=query, raw=raw))


def new_call(
    backends: Backends, deployed: Deployed, body: Body, *, headers: Headers, query: bytes, raw: bool
) -> Call:
    """For the invoker."""
    return Call(
        id=f"call-{_LIFE}-{next(_NUMBERS)}",
        deployed=deployed,
        body=body,
        headers=headers,
        query=query,
        raw=raw,
        limit_s=call_limit(backends, deployed),
    )
