"""Replies on the raw endpoints: passed on as they come, cut off where they stall."""

import asyncio

from gateway.actions.limit_call import Limit
from gateway.api.outgoing import Outgoing
from gateway.backends.invoker.protocol import Reply
from gateway.domain.headers import Headers


async def pass_on(reply: Reply, outgoing: Outgoing, *, more: Headers, idle: Limit) -> None:
    """What comes of the answer piece by piece; `finish` gives the rest. Status and headers go out with the
    first piece, so that a reply which cannot be read at all becomes a proper error. Raises TimedOut when
    nothing comes for as long as `idle` says; an answer that has begun is cut off then, so that nobody takes a
    part for the whole."""
    if isinstance(reply.body, bytes):
        return
    start = {"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, *more]}
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(idle.seconds) as bound:
            async for piece in reply.body:
                if not outgoing.status:
                    await outgoing.send(start)
                await outgoing.send({"type": "http.response.body", "body": piece, "more_body": True})
                bound.reschedule(loop.time() + idle.seconds)
    except TimeoutError as error:
        raise idle.passed("the answer brought nothing any more") from error
    if not outgoing.status:
        await outgoing.send(start)


async def finish(reply: Reply, outgoing: Outgoing, *, more: Headers) -> None:
    """The end of an answer, all of one that was there at once. Only when nobody watches the client any more:
    servers say of one that has its whole answer that it is gone."""
    if isinstance(reply.body, bytes):
        await outgoing.answer(reply.status, [*reply.headers, *more], reply.body)
    else:
        await outgoing.send({"type": "http.response.body"})
