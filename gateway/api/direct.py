"""Direct calls: the invoker answers, and its answer is passed on as it comes."""

import secrets
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

from gateway.actions.admit_call import admit_call
from gateway.actions.learn_durations import learn_duration
from gateway.actions.limit_call import call_limit, call_limit_s, idle_limit
from gateway.api.asked import Asked
from gateway.api.incoming import Incoming, while_connected
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish, pass_on
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Begun, Call, Reply, Spent
from gateway.domain.body import Body
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut

_LIFE = secrets.token_hex(8)
_NUMBERS = count(1)


@dataclass(slots=True)
class Direct:
    """`route` is the header that tells the client its route; `cold` if nothing of the service ran when it was
    chosen; `began` by the clock of `perf_counter`; `own` are headers to pass on beside what is asked;
    `queue_s` is how long it waited for its place."""

    deployed: Deployed
    asked: Asked
    request_id: bytes
    query: bytes
    route: tuple[bytes, bytes]
    cold: bool
    began: float
    own: Headers = field(default_factory=list)
    queue_s: float = 0.0


async def answer_directly(backends: Backends, direct: Direct, incoming: Incoming, outgoing: Outgoing) -> str:
    """The outcome, for the measures, once the client has its whole answer."""
    replying = _admitted(backends, direct, incoming, outgoing)
    return await _answered(backends, direct, replying, incoming, outgoing)


def new_call(backends: Backends, direct: Direct, body: Body, kept: dict[str, bytes] | None = None) -> Call:
    """For the invoker; it leaves no trace in the ledger."""
    asked, deployed = direct.asked, direct.deployed
    limit_s = call_limit_s(backends, deployed)
    return Call(
        f"call-{_LIFE}-{next(_NUMBERS)}",
        deployed,
        body,
        asked.passed_on,
        direct.query,
        asked.raw,
        limit_s,
        direct.request_id,
        kept,
        direct.own,
    )


async def answer_begun(
    backends: Backends, direct: Direct, begun: Begun, incoming: Incoming, outgoing: Outgoing
) -> str:
    """The same of a call that has its place and is under way."""
    try:
        replying = _replied(backends, direct, begun, outgoing)
        return await _answered(backends, direct, replying, incoming, outgoing)
    finally:
        begun.drop()


async def _answered(
    backends: Backends,
    direct: Direct,
    replying: Coroutine[None, None, tuple[Reply, Headers]],
    incoming: Incoming,
    outgoing: Outgoing,
) -> str:
    try:
        async with while_connected(incoming):
            reply, more = await replying
    except TimedOut as problem:
        learn_duration(backends, direct.deployed.uid, perf_counter() - direct.began, cold=direct.cold)
        if problem.field is not None:
            # Another limit than that of a call: it was told which.
            raise
        limit = call_limit(backends, direct.deployed)
        instead = f"what takes longer can be handed in at /job/{direct.deployed.service.name}"
        raise limit.passed(problem.detail, instead=instead) from problem
    finally:
        # Of a client that is gone by now it was never begun.
        replying.close()
    await finish(reply, outgoing, more=more)
    return end_directly(backends, direct, reply)


def end_directly(backends: Backends, direct: Direct, reply: Reply) -> str:
    """The outcome, once the client has the answer, and how long it took learned."""
    learn_duration(backends, direct.deployed.uid, perf_counter() - direct.began, cold=direct.cold)
    return "ok" if reply.status < 400 else "script-failed"


async def _admitted(
    backends: Backends, direct: Direct, incoming: Incoming, outgoing: Outgoing
) -> tuple[Reply, Headers]:
    """The reply, passed on but for its end, and what we add to its headers."""
    await admit_call(backends, direct.deployed, within_s=call_limit_s(backends, direct.deployed))
    direct.queue_s = perf_counter() - direct.began
    try:
        call = backends.invoker.invoke(new_call(backends, direct, await incoming.body()))
        return await _replied(backends, direct, call, outgoing)
    finally:
        backends.services.leave(direct.deployed.uid)


async def _replied(
    backends: Backends, direct: Direct, call: AbstractAsyncContextManager[Reply] | Begun, outgoing: Outgoing
) -> tuple[Reply, Headers]:
    async with call as reply:
        more = [direct.route, server_timing(direct, reply.spent)]
        await pass_on(reply, outgoing, more=more, idle=idle_limit(backends, direct.deployed))
        return reply, more


def server_timing(direct: Direct, spent: Spent) -> tuple[bytes, bytes]:
    """Server-Timing (W3C), in milliseconds; `gateway` is what nobody else took, reading the body included."""
    queue_s = direct.queue_s + spent.queue_s
    own_s = max(0.0, perf_counter() - direct.began - queue_s - spent.start_s - spent.run_s)
    times = (own_s * 1000, queue_s * 1000, spent.start_s * 1000, spent.run_s * 1000)
    return b"server-timing", b"gateway;dur=%.2f, queue;dur=%.2f, start;dur=%.2f, run;dur=%.2f" % times
