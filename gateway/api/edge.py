"""The edge: around every endpoint but `/run`, which does the same by itself. Gives each request its id,
counts and times its answer."""

import secrets
import time

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.asked import SANE_ID
from gateway.api.errors import CLIENT_GONE
from gateway.api.incoming import IDLE_S
from gateway.api.measures import Measures
from gateway.api.outgoing import Outgoing

ROUTE = "oscar_gateway.route"
"""Where in the scope an endpoint leaves the pattern of its path, for the measures."""

UNMATCHED = "unmatched"


class Edge:
    def __init__(self, app: ASGIApp, measures: Measures, *, idle_s: float = IDLE_S) -> None:
        self._app = app
        self._measures = measures
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        outgoing = Outgoing(send, request_id, idle_s=self._idle_s)
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request=request_id.decode()):
            await self._app(scope, receive, outgoing.send)
        self._measures.answered(
            method=scope["method"],
            route=scope.get(ROUTE, UNMATCHED),
            status=outgoing.status or CLIENT_GONE,
            took_s=time.perf_counter() - began,
        )


def _request_id(scope: Scope) -> bytes:
    """The caller's, if it can stand in a log line; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()
