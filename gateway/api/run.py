"""`POST /run/{service}`: a call, answered on its own connection. A raw ASGI endpoint, the hot path: what
layers do for the other routes is done here, in one place.

The route, direct or as a job, is chosen before a byte of the body is read, and told in `X-OSCAR-Route`.
"""

from collections.abc import Coroutine
from functools import cache
from time import perf_counter

import structlog
from starlette.types import Receive, Scope, Send

from gateway.actions.admit_call import admit_caller
from gateway.actions.authorise_call import authorise_call
from gateway.actions.route_call import route_call
from gateway.api.answer_directly import answer_directly
from gateway.api.asked import Asked
from gateway.api.call_line import CALLER
from gateway.api.direct import Direct
from gateway.api.errors import PAGE_NOT_FOUND, error_answer, told
from gateway.api.held import Held, answer_held
from gateway.api.incoming import ClientGone, Incoming
from gateway.api.operations import Site
from gateway.api.outgoing import Outgoing
from gateway.api.turn import Turn
from gateway.backends.invoker.protocol import Standing
from gateway.domain.deployed import Deployed
from gateway.domain.prefer import Preferences, parse_prefer
from gateway.domain.problems import NotFound
from gateway.domain.routing import Choice, Route
from gateway.wire.departure import ANSWER, DEPARTURE

log = structlog.get_logger(__name__)

NO_PREFERENCE = Preferences()


class Run:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever happens is answered, counted, and written to the access log."""
        asked = Asked(scope)
        outgoing = Outgoing(send, asked.request_id, at_once=scope.get(ANSWER))
        turn = Turn(scope, asked.request_id, perf_counter())
        await self.see_through(turn, receive, outgoing, self._authorised(turn, asked, receive, outgoing))

    async def see_through(
        self, turn: Turn, receive: Receive, outgoing: Outgoing, answering: Coroutine[None, None, str]
    ) -> None:
        """`answering` gives the outcome. One that is parked is seen through later."""
        structlog.contextvars.bind_contextvars(request=turn.request_id.decode())
        outcome = "error"
        try:
            outcome = await answering
        except ClientGone:
            outcome = "client-gone"
        except Exception as error:  # whatever it is, its caller is told
            outcome = await self._refuse(error, turn.scope, receive, outgoing)
        finally:
            if not turn.parked:
                turn.end(self._site, status=outgoing.status, outcome=outcome)

    async def _authorised(self, turn: Turn, asked: Asked, receive: Receive, outgoing: Outgoing) -> str:
        scope = turn.scope
        if scope["method"] != "POST":
            raise NotFound(PAGE_NOT_FOUND)
        deployed, scope[CALLER] = await authorise_call(
            self._site.backends, scope["path_params"]["service"], asked.authorization
        )
        turn.service = deployed.service.name
        return await self._admitted(deployed, asked, turn, receive, outgoing)

    async def _admitted(
        self, deployed: Deployed, asked: Asked, turn: Turn, receive: Receive, outgoing: Outgoing
    ) -> str:
        backends, scope = self._site.backends, turn.scope
        caller: str = scope[CALLER]
        turn.whose = caller if caller != "token" else deployed.uid
        admit_caller(backends, turn.whose)
        try:
            incoming = Incoming(
                receive,
                limit=backends.settings.run_body_limit,
                headers=scope["headers"],
                departure=scope.get(DEPARTURE),
            )
            return await self._routed(deployed, asked, turn, incoming, outgoing)
        finally:
            if not turn.parked:
                backends.callers.leave(turn.whose)

    async def _routed(
        self, deployed: Deployed, asked: Asked, turn: Turn, incoming: Incoming, outgoing: Outgoing
    ) -> str:
        backends, scope = self._site.backends, turn.scope
        preferences = parse_prefer(asked.prefer) if asked.prefer else NO_PREFERENCE
        choice, standing = route_call(
            backends, deployed, preferences=preferences, body_bytes=incoming.declared_bytes
        )
        self._site.measures.routed(route=choice.route, why=choice.why)
        route = told_route(choice)
        if choice.route is Route.JOB:
            held = Held(deployed, scope[CALLER], preferences, asked, route)
            return await answer_held(self._site, self.see_through, turn, held, incoming, outgoing)
        cold = standing is Standing.COLD
        direct = Direct(deployed, asked, asked.request_id, scope["query_string"], route, cold, perf_counter())
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
