"""The front: sends `/run/…` and `/job/…` to their raw endpoints and everything else to the router, each in
the one spelling they know.

The hot path so costs no route matching, no request object and no layers: `/run` does by itself what those do.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.edge import ROUTE
from gateway.api.short import Short
from gateway.wire.departure import ANSWER, LATER
from gateway.wire.request import Request

ROUTES = {"run": "/run/{service}", "job": "/job/{service}"}


class Front:
    def __init__(
        self, *, short: Short, run: ASGIApp, run_for_pages: ASGIApp, job: ASGIApp, rest: ASGIApp
    ) -> None:
        """`run_for_pages` answers what comes from pages in browsers, which tell their origin."""
        self._short = short
        self._run = run
        self._run_for_pages = run_for_pages
        self._job = job
        self._rest = rest

    def take(self, request: Request) -> bool:
        """Whether it is answered without a task: short calls are."""
        scope = request.scope
        path = one_spelling(scope["path"])
        kind, _, service = path[1:].partition("/")
        if kind != "run" or scope["method"] != "POST" or "/" in service or _has_origin(scope):
            return False
        scope["path"] = path
        return self._short.take(request, service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope["path"] = path = one_spelling(scope["path"])
        kind, _, service = path[1:].partition("/")
        app = self._rest
        if kind in ROUTES and service and "/" not in service:
            scope["path_params"] = {"service": service}
            scope[ROUTE] = ROUTES[kind]
            app = self._job if kind == "job" else self._run
            if kind == "run" and _has_origin(scope):
                app = self._run_for_pages
                # The layer around it adds to the answer, so all of it has to go through.
                for way_around in (ANSWER, LATER):
                    scope.pop(way_around, None)
        await app(scope, receive, send)


def one_spelling(path: str) -> str:
    """With one slash in front and none behind: clients write `/system/config/` and, joining carelessly,
    `//system/config`."""
    return "/" + path.strip("/")


def _has_origin(scope: Scope) -> bool:
    for name, _ in scope["headers"]:  # noqa: SIM110 - a generator costs ten times the comparison
        if name == b"origin":
            return True
    return False
