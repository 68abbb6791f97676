"""The front: sends `/run/…` and `/job/…` to their raw endpoints and everything else to the router.

The hot path so costs no route matching and no request object; OSCAR's access line is written for these two
here.
"""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.access_log import Answered
from gateway.api.edge import ROUTE
from gateway.api.errors import CLIENT_GONE
from gateway.api.operations import Site

CALLER = "oscar_gateway.caller"
"""Where in the scope the raw endpoints leave who called, once they know."""


class Front:
    def __init__(self, site: Site, *, run: ASGIApp, job: ASGIApp, rest: ASGIApp) -> None:
        self._site = site
        self._raw = {"run": run, "job": job}
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, _, service = scope["path"][1:].partition("/")
        raw = self._raw.get(kind)
        if raw is None or not service or "/" in service:
            await self._rest(scope, receive, send)
            return
        scope["path_params"] = {"service": service}
        scope[ROUTE] = f"/{kind}/{{service}}"
        await self._logged(raw, scope, receive, send)

    async def _logged(self, raw: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await raw(scope, receive, sending)
        finally:
            if scope["method"] == "POST":
                self._note(scope, status=status, took_s=time.perf_counter() - began)

    def _note(self, scope: Scope, *, status: int, took_s: float) -> None:
        client = scope.get("client")
        self._site.access_log.note(
            Answered(
                at=self._site.backends.now(),
                status=status or CLIENT_GONE,
                took_s=took_s,
                client=client[0] if client else "",
                method=scope["method"],
                path=scope["path"],
                user=_user(scope.get(CALLER, "")),
            )
        )


def _user(caller: str) -> str:
    """OSCAR's words for who called."""
    match caller:
        case "cluster_admin":
            return "oscar"
        case "" | "token":
            return "nil"
        case _:
            return caller
