"""The edge: around every endpoint, raw ones included. Gives each request its id, counts and times its
answer, and puts its path into the one spelling the endpoints know."""

import asyncio
import re
import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.errors import CLIENT_GONE
from gateway.api.incoming import IDLE_S, ClientGone
from gateway.api.measures import Measures

ROUTE = "oscar_gateway.route"
"""Where in the scope an endpoint leaves the pattern of its path, for the measures."""

UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class Edge:
    def __init__(self, app: ASGIApp, measures: Measures, *, idle_s: float = IDLE_S) -> None:
        self._app = app
        self._measures = measures
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = _request_id(scope)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await _send_within(self._idle_s, send, message)

        scope["path"] = one_spelling(scope["path"])
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request=request_id.decode()):
            await self._app(scope, receive, sending)
        self._measures.answered(
            method=scope["method"] if scope["method"] in METHODS else "other",
            route=scope.get(ROUTE, UNMATCHED),
            status=status or CLIENT_GONE,
            took_s=time.perf_counter() - began,
        )


async def _send_within(bound_s: float, send: Send, message: Message) -> None:
    """A client that stops reading is as good as gone."""
    try:
        async with asyncio.timeout(bound_s):
            await send(message)
    except TimeoutError as error:
        raise ClientGone from error


def one_spelling(path: str) -> str:
    """With one slash in front and none behind: clients write `/system/config/` and, joining carelessly,
    `//system/config`."""
    return "/" + path.strip("/")


def _request_id(scope: Scope) -> bytes:
    """The caller's, if it can stand in a log line; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()
