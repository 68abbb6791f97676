"""`POST /run/{service}`: a call, answered on its own connection. A raw ASGI endpoint: this is the hot
path."""

from starlette.types import Receive, Scope, Send

from gateway.actions.authorise_call import authorise_call
from gateway.actions.run_service import run_service
from gateway.api.errors import PAGE_NOT_FOUND
from gateway.api.front import CALLER
from gateway.api.incoming import ClientGone, Incoming, header, while_connected
from gateway.api.measures import UNKNOWN
from gateway.api.operations import Site
from gateway.backends.invoker.protocol import Reply
from gateway.domain.deployed import Deployed
from gateway.domain.problems import NotFound, Problem


class Run:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise NotFound(PAGE_NOT_FOUND)
        service, outcome = UNKNOWN, "error"
        try:
            deployed, scope[CALLER] = await authorise_call(
                self._site.backends, scope["path_params"]["service"], header(scope, b"authorization")
            )
            service = deployed.service.name
            outcome = await self._call(deployed, scope, receive, send)
        except ClientGone:
            outcome = "client-gone"
            raise
        except Problem as problem:
            outcome = problem.kind
            raise
        finally:
            self._site.measures.called(service=service, outcome=outcome)

    async def _call(self, deployed: Deployed, scope: Scope, receive: Receive, send: Send) -> str:
        settings = self._site.backends.settings
        incoming = Incoming(receive, limit=settings.run_body_limit, headers=scope["headers"])
        call = run_service(
            self._site.backends,
            deployed,
            incoming.chunks(),
            content_type=header(scope, b"content-type"),
            query=scope["query_string"].decode("latin-1"),
            raw="application/octet-stream" in header(scope, b"accept"),
        )
        async with while_connected(incoming), call as reply:
            await _pass_on(reply, send)
        # After the watch has ended: servers say of a client that has its whole answer that it is gone.
        await send({"type": "http.response.body"})
        return "ok" if reply.status < 400 else "script-failed"


async def _pass_on(reply: Reply, send: Send) -> None:
    """Status and headers go out with the first bytes, so that a reply which cannot be read at all becomes
    a proper error."""
    start = {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()
        ],
    }
    started = False
    async for chunk in reply.body:
        if not started:
            await send(start)
            started = True
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if not started:
        await send(start)
