"""Short calls: what is here whole, is let in by its service's own token and can be passed on at once is
answered from callbacks: no task is made and nobody waits, which is half of what a call costs.

Anything else goes the way of all calls, `run.py`: before a byte was sent on by not being taken, after that by
handing over what is under way. Nothing is done here that is done otherwise there.
"""

from dataclasses import dataclass, field
from time import perf_counter

from starlette.types import Receive, Scope, Send

from gateway.actions.admit_call import admit_at_once, leave
from gateway.actions.authorise_call import admitted_by_token
from gateway.actions.route_call import route_call
from gateway.api.answer_directly import answer_begun
from gateway.api.asked import FORWARDED_FOR, REQUEST_ID, SANE_ID, Asked, forwarded_for, new_id
from gateway.api.call_line import CALLER
from gateway.api.direct import Direct, end_directly, new_call, server_timing
from gateway.api.incoming import Incoming
from gateway.api.operations import Site
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish
from gateway.api.run import NO_PREFERENCE, Run, told_route
from gateway.api.turn import Turn
from gateway.backends.invoker.protocol import Begun, Reply, Standing
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers
from gateway.domain.problems import Problem
from gateway.domain.routing import DIRECT
from gateway.wire.request import Request
from gateway.wire.seen import SEEN, VARYING

TOLD_DIRECT = told_route(DIRECT)


class Short:
    def __init__(self, site: Site, run: Run) -> None:
        self._site = site
        self._run = run

    def take(self, request: Request, service: str) -> bool:
        """Whether it is answered, or will be, without anybody else."""
        began = perf_counter()
        scope, backends = request.scope, self._site.backends
        heading = self._heading(scope, service)
        size = len(request.body)
        if heading is None or size > backends.settings.run_body_limit:
            return False
        asked, deployed = heading.asked, heading.deployed
        choice, standing = route_call(backends, deployed, preferences=NO_PREFERENCE, body_bytes=size)
        if choice is not DIRECT or not admit_at_once(backends, deployed, deployed.uid):
            return False
        cold = standing is Standing.COLD
        request_id, own = _own(asked, scope)
        direct = Direct(deployed, asked, request_id, scope["query_string"], TOLD_DIRECT, cold, began, own)
        if not _ShortCall(self._site, self._run, request, direct).begin(heading.kept):
            leave(backends, deployed, deployed.uid)
            return False
        scope[CALLER] = "token"
        self._site.measures.routed(route=choice.route, why=choice.why)
        return True

    def _heading(self, scope: Scope, service: str) -> "_Heading | None":
        """None for what is not for us."""
        deployed = self._site.backends.registry.get(service)
        seen: dict[str, _Heading] = scope.get(SEEN, {})
        heading = seen.get(service)
        if heading is None or heading.deployed is not deployed:
            asked = Asked(scope, apart=scope.get(VARYING, ()))
            deployed = admitted_by_token(self._site.backends, service, asked.authorization)
            if deployed is None or asked.prefer:
                return None
            heading = seen[service] = _Heading(asked, deployed)
        return heading


def _own(asked: Asked, scope: Scope) -> tuple[bytes, Headers]:
    """The call's id, and what else of its head is not in what was asked."""
    request_id, passed_on = asked.request_id if asked.id_given else b"", []
    before: list[bytes] = []
    varying: Headers = scope.get(VARYING, [])
    for header in varying:
        name, value = header
        if name == FORWARDED_FOR:
            before.append(value)
        elif name != REQUEST_ID:
            passed_on.append(header)
        elif SANE_ID.fullmatch(value):
            request_id = value
    if before:
        passed_on.append(forwarded_for(scope, b", ".join(before)))
    return request_id or new_id(), passed_on


@dataclass(frozen=True, slots=True)
class _Heading:
    """What was made of a call's head but for what varies in it, good for every call with the same one and as
    long as the service is the same; `kept` is the invoker's part of it."""

    asked: Asked
    deployed: Deployed
    kept: dict[str, bytes] = field(default_factory=dict)


class _ShortCall:
    __slots__ = ("_begun", "_direct", "_reply", "_request", "_run", "_site")

    def __init__(self, site: Site, run: Run, request: Request, direct: Direct) -> None:
        self._site = site
        self._run = run
        self._request = request
        self._direct = direct
        self._begun: Begun
        self._reply: Reply | None = None

    def begin(self, kept: dict[str, bytes]) -> bool:
        """Pass it on, if that can be done at once."""
        call = new_call(self._site.backends, self._direct, self._request.body, kept)
        try:
            begun = self._site.backends.invoker.begin(call, self._told)
        except Problem:
            return False
        if begun is None:
            return False
        self._begun = begun
        self._request.take_body()
        self._request.departure.callback = self._gone
        return True

    def _told(self) -> None:
        """There is an answer, or the reason why there is none."""
        self._request.departure.callback = None
        self._reply = reply = self._begun.whole()
        if reply is None or not self._answer(reply):
            self._request.go_on(self._hand_over)
            return
        self._leave()
        outcome = end_directly(self._site.backends, self._direct, reply)
        self._turn().end(self._site, status=reply.status, outcome=outcome)

    def _gone(self) -> None:
        self._begun.drop()
        self._leave()
        self._turn().end(self._site, status=0, outcome="client-gone")

    def _answer(self, reply: Reply) -> bool:
        """Whether it could be given. Why not, who takes over will find."""
        direct = self._direct
        headers = [*reply.headers, direct.route, server_timing(direct, reply.spent)]
        headers.append((b"x-request-id", direct.request_id))
        try:
            return isinstance(reply.body, bytes) and self._request.answer(reply.status, headers, reply.body)
        except RuntimeError:
            return False

    async def _hand_over(self, _: Scope, receive: Receive, send: Send) -> None:
        """An answer that comes in pieces, that its client does not take at once, or that never comes."""
        outgoing = Outgoing(send, self._direct.request_id)
        await self._run.see_through(self._turn(), receive, outgoing, self._rest(receive, outgoing))

    async def _rest(self, receive: Receive, outgoing: Outgoing) -> str:
        backends, direct = self._site.backends, self._direct
        try:
            if self._reply is not None:
                more = [direct.route, server_timing(direct, self._reply.spent)]
                await finish(self._reply, outgoing, more=more)
                return end_directly(backends, direct, self._reply)
            limit = backends.settings.run_body_limit
            incoming = Incoming(receive, limit=limit, departure=self._request.departure)
            return await answer_begun(backends, direct, self._begun, incoming, outgoing)
        finally:
            self._leave()

    def _turn(self) -> Turn:
        direct = self._direct
        return Turn(self._request.scope, direct.request_id, direct.began, direct.deployed.service.name)

    def _leave(self) -> None:
        leave(self._site.backends, self._direct.deployed, self._direct.deployed.uid)
