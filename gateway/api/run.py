"""`POST /run/{service}`: a call, answered on its own connection. A raw ASGI endpoint: this is the hot
path.

The route, direct or as a job, is chosen before a byte of the body is read, and told in `X-OSCAR-Route`.
"""

import time

from starlette.types import Receive, Scope, Send

from gateway.actions.admit_call import admitted_call, admitted_caller
from gateway.actions.authorise_call import authorise_call
from gateway.actions.learn_durations import learn_duration
from gateway.actions.route_call import route_call
from gateway.actions.run_service import call_limit, run_service
from gateway.api.errors import PAGE_NOT_FOUND
from gateway.api.front import CALLER
from gateway.api.held import Held, answer_held
from gateway.api.incoming import ClientGone, Incoming, declared_bytes, header, headers_of, while_connected
from gateway.api.measures import UNKNOWN
from gateway.api.operations import Site
from gateway.api.replies import pass_on, wants_bytes
from gateway.backends.invoker.protocol import Standing
from gateway.domain.deployed import Deployed
from gateway.domain.prefer import Preferences, parse_prefer
from gateway.domain.problems import NotFound, Problem, TimedOut
from gateway.domain.routing import Choice, Route

NO_PREFERENCE = Preferences()


class Run:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise NotFound(PAGE_NOT_FOUND)
        service, outcome = UNKNOWN, "error"
        try:
            deployed, caller = await authorise_call(
                self._site.backends, scope["path_params"]["service"], header(scope, b"authorization")
            )
            scope[CALLER] = caller
            service = deployed.service.name
            with admitted_caller(self._site.backends, caller if caller != "token" else deployed.uid):
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
        backends, headers = self._site.backends, scope["headers"]
        incoming = Incoming(receive, limit=backends.settings.run_body_limit, headers=headers)
        wishes = headers_of(scope, b"prefer")
        preferences = parse_prefer(wishes) if wishes else NO_PREFERENCE
        choice, standing = route_call(
            backends, deployed, preferences=preferences, body_bytes=declared_bytes(headers)
        )
        self._site.measures.routed(route=choice.route.value, why=choice.why.value)
        if choice.route is Route.JOB:
            held = Held(deployed, scope[CALLER], preferences, told(choice))
            return await answer_held(backends, held, incoming, scope, send)
        return await self._directly(deployed, incoming, scope, send, told(choice), standing)

    async def _directly(
        self,
        deployed: Deployed,
        incoming: Incoming,
        scope: Scope,
        send: Send,
        route: tuple[bytes, bytes],
        standing: Standing,
    ) -> str:
        backends = self._site.backends
        limit_s = call_limit(backends, deployed)
        idle_s = deployed.service.policy.idle_limit_s or backends.settings.idle_limit_s
        call = run_service(
            backends,
            deployed,
            incoming.chunks(),
            content_type=header(scope, b"content-type"),
            query=scope["query_string"].decode("latin-1"),
            raw=wants_bytes(scope),
        )
        began = time.perf_counter()
        try:
            async with (
                while_connected(incoming),
                admitted_call(backends, deployed, within_s=limit_s),
                call as reply,
            ):
                await pass_on(reply, send, more=[route], idle_s=idle_s)
        except TimedOut as problem:
            learn_duration(backends, deployed.uid, limit_s, cold=standing is Standing.COLD)
            raise self._explained(problem, deployed, limit_s) from problem
        # After the watch has ended: servers say of a client that has its whole answer that it is gone.
        await send({"type": "http.response.body"})
        learn_duration(backends, deployed.uid, time.perf_counter() - began, cold=standing is Standing.COLD)
        return "ok" if reply.status < 400 else "script-failed"

    def _explained(self, problem: TimedOut, deployed: Deployed, limit_s: float) -> TimedOut:
        own = deployed.service.policy.call_limit_s is not None
        place = "annotations.oscar-gateway/call-seconds" if own else "CALL_LIMIT_S"
        return TimedOut(
            f"{problem.detail}; the limit of {limit_s:g} s is set by {place}; "
            f"what takes longer can be handed in at /job/{deployed.service.name}",
            field=place,
        )


def told(choice: Choice) -> tuple[bytes, bytes]:
    return b"x-oscar-route", f"{choice.route.value}; reason={choice.why.value}".encode()
