"""`POST /run/{service}`: a call, answered on its own connection. A raw ASGI endpoint, the hot path: what
layers do for the other routes is done here, in one place.

The route, direct or as a job, is chosen before a byte of the body is read, and told in `X-OSCAR-Route`.
"""

from functools import cache
from time import perf_counter

import structlog
from starlette.types import Receive, Scope, Send

from gateway.actions.admit_call import admit_caller
from gateway.actions.authorise_call import authorise_call
from gateway.actions.route_call import route_call
from gateway.api.asked import Asked
from gateway.api.call_line import CALLER, note_call
from gateway.api.direct import Direct, answer_directly
from gateway.api.errors import CLIENT_GONE, PAGE_NOT_FOUND, error_answer, told
from gateway.api.held import Held, answer_held
from gateway.api.incoming import ClientGone, Incoming
from gateway.api.measures import UNKNOWN
from gateway.api.operations import Site
from gateway.api.outgoing import Outgoing
from gateway.domain.deployed import Deployed
from gateway.domain.prefer import Preferences, parse_prefer
from gateway.domain.problems import NotFound
from gateway.domain.routing import Choice, Route
from gateway.wire.departure import ANSWER, DEPARTURE

log = structlog.get_logger(__name__)

PATTERN = "/run/{service}"
NO_PREFERENCE = Preferences()


class Run:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever happens is answered, counted, and written to the access log."""
        began = perf_counter()
        asked = Asked(scope)
        outgoing = Outgoing(send, asked.request_id, at_once=scope.get(ANSWER))
        structlog.contextvars.bind_contextvars(request=asked.request_id.decode())
        service, outcome = UNKNOWN, "error"
        try:
            deployed = await self._authorised(scope, asked)
            service = deployed.service.name
            outcome = await self._admitted(deployed, asked, scope, receive, outgoing)
        except ClientGone:
            outcome = "client-gone"
        except Exception as error:  # whatever it is, its caller is told
            outcome = await self._refuse(error, scope, receive, outgoing)
        finally:
            took_s = perf_counter() - began
            self._site.measures.called(service=service, outcome=outcome)
            self._site.measures.answered(
                method=scope["method"], route=PATTERN, status=outgoing.status or CLIENT_GONE, took_s=took_s
            )
            note_call(self._site, scope, status=outgoing.status, took_s=took_s)

    async def _authorised(self, scope: Scope, asked: Asked) -> Deployed:
        if scope["method"] != "POST":
            raise NotFound(PAGE_NOT_FOUND)
        deployed, scope[CALLER] = await authorise_call(
            self._site.backends, scope["path_params"]["service"], asked.authorization
        )
        return deployed

    async def _admitted(
        self, deployed: Deployed, asked: Asked, scope: Scope, receive: Receive, outgoing: Outgoing
    ) -> str:
        """The outcome."""
        backends = self._site.backends
        caller: str = scope[CALLER]
        whose = caller if caller != "token" else deployed.uid
        admit_caller(backends, whose)
        try:
            incoming = Incoming(
                receive,
                limit=backends.settings.run_body_limit,
                headers=scope["headers"],
                departure=scope.get(DEPARTURE),
            )
            return await self._routed(deployed, asked, scope, incoming, outgoing)
        finally:
            backends.callers.leave(whose)

    async def _routed(
        self, deployed: Deployed, asked: Asked, scope: Scope, incoming: Incoming, outgoing: Outgoing
    ) -> str:
        backends = self._site.backends
        preferences = parse_prefer(asked.prefer) if asked.prefer else NO_PREFERENCE
        choice, standing = route_call(
            backends, deployed, preferences=preferences, body_bytes=incoming.declared_bytes
        )
        self._site.measures.routed(route=choice.route.value, why=choice.why.value)
        route = told_route(choice)
        if choice.route is Route.JOB:
            held = Held(deployed, scope[CALLER], preferences, asked, route)
            return await answer_held(backends, held, incoming, outgoing)
        direct = Direct(deployed, asked, scope["query_string"], route, standing)
        return await answer_directly(backends, direct, incoming, outgoing)

    async def _refuse(self, error: Exception, scope: Scope, receive: Receive, outgoing: Outgoing) -> str:
        problem = told(error)
        if outgoing.status:
            log.warning("answer.cut", why=problem.detail)
            return problem.kind
        try:
            await error_answer(problem, scope)(scope, receive, outgoing.send)
        except ClientGone:
            return "client-gone"
        return problem.kind


@cache
def told_route(choice: Choice) -> tuple[bytes, bytes]:
    return b"x-oscar-route", f"{choice.route.value}; reason={choice.why.value}".encode()
