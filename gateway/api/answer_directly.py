"""Answer a direct call: by the invoker, whose answer is passed on as it comes."""

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from time import perf_counter

from gateway.actions.admit_call import admit_call
from gateway.actions.learn_durations import learn_duration
from gateway.actions.limit_call import call_limit, call_limit_s, idle_limit
from gateway.api.direct import Direct, end_directly, new_call, server_timing
from gateway.api.incoming import Incoming, while_connected
from gateway.api.outgoing import Outgoing
from gateway.api.replies import finish, pass_on
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Begun, Reply
from gateway.domain.headers import Headers
from gateway.domain.problems import TimedOut


async def answer_directly(backends: Backends, direct: Direct, incoming: Incoming, outgoing: Outgoing) -> str:
    """The outcome, for the measures, once the client has its whole answer."""
    replying = _admitted(backends, direct, incoming, outgoing)
    return await _answered(backends, direct, replying, incoming, outgoing)


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
