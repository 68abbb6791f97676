"""Direct calls: the invoker answers, and its answer is passed on as it comes."""

from dataclasses import dataclass
from time import perf_counter

from gateway.actions.admit_call import admit_call
from gateway.actions.learn_durations import learn_duration
from gateway.actions.run_service import call_limit, run_service
from gateway.api.asked import Asked
from gateway.api.incoming import Incoming, while_connected
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish, pass_on
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Reply, Spent, Standing
from gateway.domain.deployed import Deployed
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut


@dataclass(slots=True)
class Direct:
    """`route` is the header that tells the client its route; `standing` the invoker's when it was chosen."""

    deployed: Deployed
    asked: Asked
    query: bytes
    route: tuple[bytes, bytes]
    standing: Standing


async def answer_directly(backends: Backends, direct: Direct, incoming: Incoming, outgoing: Outgoing) -> str:
    """The outcome, for the measures, once the client has its whole answer."""
    deployed, cold = direct.deployed, direct.standing is Standing.COLD
    limit_s = call_limit(backends, deployed)
    began = perf_counter()
    try:
        async with while_connected(incoming):
            reply, more = await _admitted(backends, direct, incoming, outgoing, limit_s)
    except TimedOut as problem:
        learn_duration(backends, deployed.uid, limit_s, cold=cold)
        raise _explained(problem, deployed, limit_s) from problem
    await finish(reply, outgoing, more=more)
    learn_duration(backends, deployed.uid, perf_counter() - began, cold=cold)
    return "ok" if reply.status < 400 else "script-failed"


async def _admitted(
    backends: Backends, direct: Direct, incoming: Incoming, outgoing: Outgoing, limit_s: float
) -> tuple[Reply, Headers]:
    """The reply, passed on but for its end, and what we add to its headers."""
    began = perf_counter()
    await admit_call(backends, direct.deployed, within_s=limit_s)
    queue_s = perf_counter() - began
    try:
        call = run_service(
            backends,
            direct.deployed,
            await incoming.body(),
            headers=direct.asked.passed_on,
            query=direct.query,
            raw=direct.asked.raw,
        )
        async with call as reply:
            timing = _server_timing(reply.spent, queue_s=queue_s, took_s=perf_counter() - began)
            idle_s = direct.deployed.service.policy.idle_limit_s or backends.settings.idle_limit_s
            more = [direct.route, timing]
            await pass_on(reply, outgoing, more=more, idle_s=idle_s)
            return reply, more
    finally:
        backends.services.leave(direct.deployed.uid)


def _server_timing(spent: Spent, *, queue_s: float, took_s: float) -> tuple[bytes, bytes]:
    """Server-Timing (W3C), in milliseconds; `gateway` is what nobody else took, reading the body included."""
    queue_s += spent.queue_s
    own_s = max(0.0, took_s - queue_s - spent.start_s - spent.run_s)
    times = (own_s * 1000, queue_s * 1000, spent.start_s * 1000, spent.run_s * 1000)
    return b"server-timing", b"gateway;dur=%.2f, queue;dur=%.2f, start;dur=%.2f, run;dur=%.2f" % times


def _explained(problem: TimedOut, deployed: Deployed, limit_s: float) -> TimedOut:
    own = deployed.service.policy.call_limit_s is not None
    place = "annotations.oscar-gateway/call-seconds" if own else "CALL_LIMIT_S"
    return TimedOut(
        f"{problem.detail}; the limit of {limit_s:g} s is set by {place}; "
        f"what takes longer can be handed in at /job/{deployed.service.name}",
        field=place,
    )
