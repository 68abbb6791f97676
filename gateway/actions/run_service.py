"""Run a service: one call, answered on the connection it came by; it leaves no trace in the ledger."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Call, Reply
from gateway.domain.deployed import Deployed


def call_limit(backends: Backends, deployed: Deployed) -> float:
    """How long a call of it may take, seconds."""
    return deployed.service.policy.call_limit_s or backends.settings.call_limit_s


def run_service(
    backends: Backends,
    deployed: Deployed,
    body: AsyncIterator[bytes],
    *,
    content_type: str,
    query: str,
    raw: bool,
) -> AbstractAsyncContextManager[Reply]:
    """The reply, while its context is open; leaving early ends the script. Raises what `Invoker.invoke`
    raises."""
    return backends.invoker.invoke(
        Call(
            id=f"call-{secrets.token_hex(10)}",
            deployed=deployed,
            body=body,
            content_type=content_type,
            query=query,
            raw=raw,
            limit_s=call_limit(backends, deployed),
        )
    )
