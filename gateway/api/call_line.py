"""OSCAR's access line around an endpoint that takes calls or jobs."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.access_log import Answered
from gateway.api.errors import CLIENT_GONE
from gateway.api.operations import Site

CALLER = "oscar_gateway.caller"
"""Where in the scope the endpoint leaves who called, once it knows."""


OSCARS_WORDS = {"cluster_admin": "oscar", "token": "nil", "": "nil"}


class CallLine:
    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, sending)
        finally:
            note_call(self._site, scope, status=status, took_s=time.perf_counter() - began)


def note_call(site: Site, scope: Scope, *, status: int, took_s: float) -> None:
    """Of a POST, as OSCAR has it; status 0 is a client that went away."""
    if scope["method"] != "POST":
        return
    client = scope.get("client")
    site.access_log.note(
        Answered(
            site.backends.now(),
            status or CLIENT_GONE,
            took_s,
            client[0] if client else "",
            "POST",
            scope["path"],
            _user(scope.get(CALLER, "")),
        )
    )


def _user(caller: str) -> str:
    """OSCAR's words for who called."""
    return OSCARS_WORDS.get(caller, caller)
